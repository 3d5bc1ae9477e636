"""A program drives the loop by docs/agents.md: one JSON object a verb, and statuses that mean one thing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from loop_project import KERNEL, ROOT, Project

from local_kaggle.server import Server

pytestmark = [pytest.mark.loop, pytest.mark.timeout(300)]

MAKE = f"""
set -eu -o pipefail
make() (
  verb=$1; shift
  for pair in "$@"; do export "KIT_$pair"; done
  exec {sys.executable} scripts/"$verb".py
)
"""
"""`make VERB NAME=VALUE`, as the Makefile hands it over."""
NAME = f"rehearsal/{KERNEL}/v1"


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_loop_of_the_page_runs_as_it_stands(project: Project, kaggle: Server) -> None:
    """Each line's filter finds what the page says; jq -e and pipefail end the script where one does not."""
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    loop = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)[0].replace("PRESET=smoke", "PRESET=tiny")
    done = subprocess.run(
        ["bash", "-c", MAKE + loop], cwd=project.root, capture_output=True, text=True, timeout=200,
        env=project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal"), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.split("\n")
    assert said[:2] == ["true", "COMPLETE"]
    assert {"run.json", "submission.csv"} <= set(said)
    assert "true" in said[2:]
    assert float(said[-2]) == 0.73333
    assert f"pushed {NAME}" in done.stderr


@pytest.mark.parametrize(
    ("verb", "variables", "status", "words"),
    [
        *((verb, {}, 2, "GPU hours") for verb in ("push", "all", "infer")),
        ("sweep", {"GRID": "seed=1,2"}, 2, "GPU hours"),
        ("infer", {"YES": "1"}, 1, "adapters of a run"),
        ("submit", {}, 2, "submissions"),
        ("watch", {"TIMEOUT": "soon"}, 2, "no number of seconds"),
        ("pull", {"RUN": "v99"}, 1, "v99"),
        ("validate", {"RUN": "v99"}, 2, "v99"),
        ("runs", {}, 0, ""),
        ("dry-run", {"PRESET": "nonsense"}, 1, "nonsense"),
        ("doctor", {"PRESET": "nonsense"}, 1, "nonsense"),
    ],
)
def test_every_end_is_one_object(
    project: Project, kaggle: Server, verb: str, variables: dict[str, str], status: int, words: str
) -> None:
    """Also where nothing was done: stdout is one line of JSON that repeats the exit status."""
    given = {f"KIT_{name}": value for name, value in {"JSON": "1", **variables}.items()}
    environment = project.environment(kaggle.url, KAGGLE_API_TOKEN="rehearsal", **given)
    said = project.run(verb, **environment)
    told = json.loads(said.out)
    assert (said.status, told["status"], told["verb"]) == (status, status, verb)
    assert said.out.count("\n") == 1
    assert words in (told["error"] or {"message": ""})["message"]
