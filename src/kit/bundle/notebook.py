"""Write a tree of files as one notebook that reads as a story and runs as the script does.

Settings, then each source as it stands, in reading order, then the run and what it left. The cells write the
sources to a fresh private folder, so that the working folder holds the outputs alone.
"""

import ast
import json
from collections.abc import Mapping

from kit.bundle.tree import Tree

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
"""Kaggle refuses a notebook that names no kernel."""

_INTRODUCTION = """\
# {title}

Fine-tune `{model}` on **{competition}** and answer its test rows with one of {labels}.

The {count} sources below are written to a private folder as they stand in their repository; then comes
[the run](#The-run), and [what it left](#What-it-left)."""
_FOLDERS = """\
import os
import tempfile
from pathlib import Path

ROOT = tempfile.mkdtemp(prefix="bundle-")
for folder in {folders}:
    os.makedirs(f"{{ROOT}}/{{folder}}", exist_ok=True)
for path in {empty}:
    Path(f"{{ROOT}}/{{path}}").touch()"""
_RUN = """\
import subprocess
import sys

variables = {{**os.environ, "PYTHONPATH": f"{{ROOT}}/{source_root}", "PYTHONUNBUFFERED": "1"}}
with subprocess.Popen(
    [sys.executable, f"{{ROOT}}/{entry}"],
    env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
) as run:
    for line in run.stdout:
        print(line, end="", flush=True)
if run.returncode:
    raise RuntimeError(f"the run ended with status {{run.returncode}}; its log is above")"""
_LEFT = """\
import json

import pandas
from IPython.display import display

told = json.loads(Path("metrics.json").read_text()) if Path("metrics.json").is_file() else {}
for name, history in told.get("history", {}).items():
    frame = pandas.DataFrame(history)
    if {"step", "loss"} <= set(frame):
        frame.plot(x="step", y="loss", title=f"loss of {name}")
if judged := told.get("held_out"):
    figures = {name: value for name, value in judged.items() if isinstance(value, (int, float))}
    display(pandas.Series(figures, name="held out").to_frame())
    labels = json.loads(Path(f"{ROOT}/bundle.json").read_text())["config"]["competition"]["labels"]
    display(pandas.DataFrame(judged["confusion"], index=labels, columns=labels))"""
_PREVIEW = 'display(pandas.read_csv("submission.csv", dtype=str, keep_default_na=False).head(10))'


def written(tree: Tree, told: Mapping[str, object], title: str) -> str:
    """Return `tree` as a notebook with its manifest `told` in a cell; the same text every time."""
    import nbformat

    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    config = json.loads(json.dumps(told["config"]))
    competition = config["competition"]
    introduction = _INTRODUCTION.format(
        title=title, model=config["model"]["name"], competition=competition["slug"],
        labels=", ".join(competition["labels"]), count=len(tree.files),
    )  # fmt: skip
    folders = sorted({path.rpartition("/")[0] for path in tree.files})
    empty = [path for path, data in tree.files.items() if not data]
    cells = [
        markdown(introduction),
        code(_FOLDERS.format(folders=json.dumps(folders, indent=4), empty=json.dumps(empty))),
        markdown("## The settings\n\nEvery value that decides the run, and the hash of each file."),
        code(f"%%writefile {{ROOT}}/bundle.json\n{json.dumps(told, indent=1)}"),
        markdown("## The sources"),
    ]
    # The entry last; before it by depth and name, so that what others stand on comes first.
    for path in sorted(tree.files, key=lambda path: (path == tree.entry, path.count("/"), path)):
        if text := tree.files[path].decode("utf-8"):
            said = (ast.get_docstring(ast.parse(text)) or "") if path.endswith(".py") else ""
            cells.append(markdown(f"### {path}\n\n{said.partition(chr(10) * 2)[0]}"))
            cells.append(code(f"%%writefile {{ROOT}}/{path}\n{text.removesuffix(chr(10))}"))
    cells += [markdown("## The run"), code(_RUN.format(source_root=tree.source_root, entry=tree.entry))]
    cells += [markdown("## What it left"), code(_LEFT), code(_PREVIEW)]
    for at, cell in enumerate(cells):
        cell["id"] = f"cell-{at}"
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    # Kaggle takes sources as strings, where nbformat would write lists of lines.
    return str(nbformat.writes(made, split_lines=False)) + "\n"
