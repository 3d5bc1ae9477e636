"""The notebook form holds the sources as they stand, is the same each time, and answers like the script."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit import config
from kit.bundle import build, metadata
from kit.config import PROJECT_ROOT
from kit.fetch.inputs import SAMPLE

SETTINGS = ["train.max_steps=3", "data.train_rows=40", "data.test_rows=8"]
FORM = "kernel.form=notebook"
RUNNER = (PROJECT_ROOT / "src" / "local_kaggle" / "notebook.py").read_text(encoding="utf-8")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_the_notebook_is_the_tree_to_read(tmp_path: Path) -> None:
    """Every source stands in a cell as it is, as one string; two builds are the same bytes, below 1 MiB."""
    built = build.build(config.resolve("tiny", [FORM]), path=tmp_path / "kernel.ipynb")
    text = built.script.read_text(encoding="utf-8")
    assert build.build(config.resolve("tiny", [FORM]), path=tmp_path / "again.ipynb").bundle.text == text
    assert len(text.encode()) < 1024 * 1024
    cells = json.loads(text)["cells"]
    assert all(isinstance(cell["source"], str) for cell in cells)
    shown = dict(
        cell["source"].removeprefix("%%writefile {ROOT}/").split("\n", 1)
        for cell in cells
        if cell["source"].startswith("%%writefile")
    )
    for path in built.bundle.files:
        data = (PROJECT_ROOT / path).read_text(encoding="utf-8")
        assert f"{shown.get(path, '')}\n" == (data or "\n"), path
    facts = built.metadata
    assert (facts.kernel_type, facts.code_file) == ("notebook", "kernel.ipynb")
    assert facts.id.endswith("-tiny-notebook")


@pytest.fixture(scope="module")
def left(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the script and the notebook left, each run in an empty folder."""
    top = tmp_path_factory.mktemp("forms")
    shutil.copytree(SAMPLE, top / "input" / "competitions" / "sample-sentiment")
    shutil.copytree(tiny_model, top / "input/models/kit/tiny/transformers/default/1")
    working = {form: top / form for form in ("script", "notebook")}
    for form, folder in working.items():
        folder.mkdir()
        settings = config.resolve("tiny", [*SETTINGS, f"kernel.form={form}"])
        kernel = str(build.build(settings, path=top / metadata.CODE_FILES[form]).script)
        command = [kernel] if form == "script" else ["-c", RUNNER, kernel, str(folder)]
        places = {"KIT_INPUT_DIR": str(top / "input"), "KIT_WORKING_DIR": str(folder)}
        ended = subprocess.run(
            [sys.executable, *command], cwd=folder, env={**os.environ, **places},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return working


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.timeout(400)
def test_the_notebook_answers_as_the_script_does(left: dict[str, Path]) -> None:
    """The same submission and probabilities, every cell run, its figures and the table shown."""
    for name in ("submission.csv", "predictions.csv"):
        assert (left["notebook"] / name).read_bytes() == (left["script"] / name).read_bytes()
    cells = json.loads((left["notebook"] / "__notebook__.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [output.get("data", {}).keys() for output in code[-2]["outputs"]]
    assert any("image/png" in kind for kind in kinds)
    assert "text/html" in code[-1]["outputs"][0]["data"]


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.timeout(400)
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_the_page_of_the_notebook_is_legible(left: dict[str, Path], tmp_path: Path) -> None:
    """nbconvert's page in a browser: every heading, the curve drawn, no error of a script."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make check)")
    made = left["notebook"] / "__notebook__.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(tmp_path), str(made)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    errors: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((tmp_path / "__notebook__.html").as_uri(), wait_until="domcontentloaded")
        headings = page.locator("h1, h2").all_inner_texts()
        drawn = page.locator("img").evaluate_all("all => all.filter(one => one.naturalWidth > 100).length")
        folder = PROJECT_ROOT / "build"
        page.locator("#What-it-left").scroll_into_view_if_needed()
        page.screenshot(path=folder / "notebook.png")
        browser.close()
    told = [heading.strip("¶ ") for heading in headings]
    assert told[1:] == ["The settings", "The sources", "The run", "What it left"]
    assert drawn >= 1
    # The page asks for RequireJS and MathJax, which no test reaches.
    assert [error for error in errors if "require" not in error and "MathJax" not in error] == []
