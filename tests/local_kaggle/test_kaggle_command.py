"""The unmodified `kaggle` command goes through the whole loop against the local Kaggle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kaggle_fixtures import SLUG, TOKEN, USER, StartKaggle
from waiting import wait_for

from local_kaggle.profile import GENTLE, OBSERVED
from local_kaggle.server import Server

KaggleCommand = Callable[..., str]
KAGGLE = str(Path(sys.executable).with_name("kaggle"))

SCRIPT = """import os, pathlib, time
here = pathlib.Path(__file__).parents[1]
os.chdir(here / "working")
rows = (here / "input/competitions/little-reviews/test.csv").read_text().splitlines()[1:]
print("predicting", len(rows), "rows", flush=True)
while not os.path.exists(GATE): time.sleep(0.02)
with open("submission.csv", "w") as file:
    file.write("ID,label\\n")
    for number, row in enumerate(rows):
        file.write(row.split(",")[0] + "," + ("Negative" if number % 2 else "Positive") + "\\n")
print("done")
"""


@pytest.fixture(params=[GENTLE, OBSERVED.without_waiting()], ids=lambda profile: profile.name)
def kaggle(request: pytest.FixtureRequest, start_kaggle: StartKaggle) -> Server:
    """The command must work whichever way Kaggle falls; it does not wait for a late status or log."""
    return start_kaggle(profile=request.param)


@pytest.fixture
def environment(kaggle: Server, tmp_path: Path) -> dict[str, str]:
    """Lead the command here, and nowhere else."""
    home = tmp_path / "home"
    home.mkdir()
    login = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "KAGGLE_USERNAME": USER, "KAGGLE_KEY": TOKEN}
    proxies = {"HTTP_PROXY": kaggle.url, "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    return {"PATH": os.environ["PATH"], "HOME": str(home)} | login | proxies


@pytest.fixture
def kaggle_command(environment: dict[str, str], tmp_path: Path) -> KaggleCommand:
    """Run `kaggle …` to its end and give what it printed; any other exit status than 0 fails."""

    def run(*arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [KAGGLE, *arguments], env=environment | variables, cwd=tmp_path,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def write_kernel(folder: Path, gate: Path) -> None:
    """Write what `kaggle kernels push` needs."""
    folder.mkdir()
    (folder / "main.py").write_text(SCRIPT.replace("GATE", repr(str(gate))))
    metadata = {"id": f"{USER}/little-kernel", "title": "Little Kernel", "code_file": "main.py"}
    metadata |= {"language": "python", "kernel_type": "script", "competition_sources": [SLUG]}
    metadata |= {"is_private": True, "enable_internet": False}
    (folder / "kernel-metadata.json").write_text(json.dumps(metadata))


def test_the_command_pushes_follows_downloads_submits_and_reads_the_score(
    kaggle: Server, kaggle_command: KaggleCommand, environment: dict[str, str], tmp_path: Path
) -> None:
    """Every step of a competitor's day, the log read live, and the score of what came back."""
    gate, name = tmp_path / "gate", f"{USER}/little-kernel"
    write_kernel(tmp_path / "kernel", gate)
    expected = f"Kernel version 1 successfully pushed.  Please check progress at {kaggle.url}/code/{name}"
    assert expected in kaggle_command("kernels", "push", "-p", "kernel")
    assert wait_for(lambda: kaggle.state.version(USER, "little-kernel").status == "RUNNING")
    assert "KernelWorkerStatus.RUNNING" in kaggle_command("kernels", "status", name)

    follow = [KAGGLE, "kernels", "logs", "--follow", name]
    follower = subprocess.Popen(follow, env=environment, stdout=subprocess.PIPE, text=True)
    assert wait_for(lambda: "GetKernelSessionLogsStream" in kaggle.requests)
    gate.touch()
    assert follower.communicate(timeout=30)[0].startswith("predicting 4 rows\ndone\n")
    assert follower.returncode == 0

    kaggle.state.wait(USER, "little-kernel", 1)
    assert "KernelWorkerStatus.COMPLETE" in kaggle_command("kernels", "status", name)
    listed = kaggle_command("kernels", "files", name)
    assert "submission.csv" in listed
    assert (" 57 " in listed) is kaggle.state.settings.profile.true_file_list
    kaggle_command("kernels", "output", name, "-p", "out")
    assert (tmp_path / "out/submission.csv").read_text().startswith("ID,label\nt0,Positive\nt1,Negative\n")
    assert "done" in (tmp_path / "out/little-kernel.log").read_text()
    assert name in kaggle_command("kernels", "list", "--mine")
    assert "30.00h" in kaggle_command("quota")

    said = kaggle_command("competitions", "submit", SLUG, "-f", "out/submission.csv", "-m", "by hand")
    assert "Successfully submitted to Little Reviews" in said
    assert "4 submissions remaining today." in said
    assert "SubmissionStatus.PENDING" in kaggle_command("competitions", "submissions", SLUG)
    scored = kaggle_command("competitions", "submissions", SLUG)
    assert "SubmissionStatus.COMPLETE" in scored
    assert "1.00000" in scored


def test_the_command_downloads_the_competitions_data(
    kaggle_command: KaggleCommand, competition_folder: Path, tmp_path: Path
) -> None:
    """One file as it is, all of them as a zip; a token works as well as user and key."""
    listed = kaggle_command("competitions", "files", SLUG)
    assert "train.csv" in listed
    assert "solution.csv" not in listed
    kaggle_command("competitions", "download", SLUG, "-f", "train.csv", "-p", "data")
    assert (tmp_path / "data/train.csv").read_bytes() == (competition_folder / "train.csv").read_bytes()
    variables = {"KAGGLE_API_TOKEN": TOKEN, "KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    kaggle_command("competitions", "download", SLUG, "-p", "data", **variables)
    assert (tmp_path / f"data/{SLUG}.zip").stat().st_size > 0
