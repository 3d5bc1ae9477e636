"""Which files a bundle holds, and which trees are refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit.bundle.tree import collect, collect_project
from kit.errors import InputInvalid


def grow(top: Path, *names: str, **texts: str) -> Path:
    """Write files below `top`, empty ones and ones with text, and return `top`."""
    for name, text in {**dict.fromkeys(names, ""), **texts}.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def git(folder: Path, *words: str) -> None:
    """Run git, with nobody's settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True, timeout=60)


CLUTTER = (
    *("pkg/__pycache__/a.cpython-311.pyc", "pkg/old.pyc", "pkg/a.py~", "pkg/.a.py.swp", "pkg/#a.py#"),
    *("pkg/.#a.py", ".idea/x.xml", ".vscode/settings.json", ".mypy_cache/x.json", ".venv/lib/x.py"),
    *("environment/pyvenv.cfg", "environment/lib/x.py", "kit.egg-info/PKG-INFO", ".DS_Store"),
    ".ipynb_checkpoints/a.ipynb",
)


@pytest.mark.parametrize("checkout", [False, True])
def test_clutter_stays_out(checkout: bool, tmp_path: Path) -> None:
    """Caches, editor files and virtual environments stay out, even if tracked, and without git."""
    grow(tmp_path, *CLUTTER, "main.py", "pkg/a.py", ".hidden", "pkg/data/x.csv")
    if checkout:
        git(tmp_path, "init")
        git(tmp_path, "add", "--force", ".")
    tree = collect(tmp_path, tmp_path / "main.py")
    assert list(tree.files) == [".hidden", "main.py", "pkg/a.py", "pkg/data/x.csv"]
    assert (tree.entry, tree.source_root) == ("main.py", ".")


def test_git_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout what git ignores stays out, new files come along, deleted ones do not matter.

    Nor do git's own variables, as a hook of another repository sets them.
    """
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    grow(tmp_path, "main.py", "new.py", "gone.py", "secret/.env", "pkg/own/x.bin", "pkg/own/y.py")
    grow(tmp_path, **{".gitignore": "secret/\n", "pkg/own/.gitignore": "*.bin\n"})
    git(tmp_path, "init")
    git(tmp_path, "add", "main.py", "gone.py")
    (tmp_path / "gone.py").unlink()
    kept = [".gitignore", "main.py", "new.py", "pkg/own/.gitignore", "pkg/own/y.py"]
    assert list(collect(tmp_path, tmp_path / "main.py").files) == kept
    assert list(collect(tmp_path / "pkg", tmp_path / "pkg/own/y.py").files) == ["own/.gitignore", "own/y.py"]


def test_repository_inside(tmp_path: Path) -> None:
    """A repository inside comes along by its own rules; a folder that git ignores can be the source."""
    grow(tmp_path, "main.py", "inner/a.py", "inner/x.log", "build/tree/b.py", **{".gitignore": "build/\n"})
    grow(tmp_path, **{"inner/.gitignore": "*.log\n"})
    git(tmp_path, "init")
    git(tmp_path / "inner", "init")
    kept = [".gitignore", "inner/.gitignore", "inner/a.py", "main.py"]
    assert list(collect(tmp_path, tmp_path / "main.py").files) == kept
    assert list(collect(tmp_path / "build/tree", tmp_path / "build/tree/b.py").files) == ["b.py"]


def _weights(top: Path) -> None:
    with (top / "weights.bin").open("wb") as file:
        file.truncate(50 * 2**30)


SPOILS = {
    # What git ignores must not go along unseen.
    "git cannot say what it ignores: fatal": lambda top: grow(top, **{".git/HEAD": "broken"}),
    r"'bundle\.json': .* manifest": lambda top: grow(top, "bundle.json"),
    # Refused by its size, before it is read.
    "largest files: 'weights.bin' 53,687,091,200": _weights,
    "not UTF-8": lambda top: Path(os.fsdecode(bytes(top) + b"/\xff.txt")).touch(),
}


@pytest.mark.parametrize("message", SPOILS)
def test_what_cannot_travel_is_refused(message: str, tmp_path: Path) -> None:
    """A checkout whose git is broken, a file where the manifest goes, gigabytes, a name that is not UTF-8."""
    SPOILS[message](grow(tmp_path, "main.py"))
    with pytest.raises(InputInvalid, match=message):
        collect(tmp_path, tmp_path / "main.py")


def test_names(tmp_path: Path) -> None:
    """Names start at the closest folder that holds source and entry; an entry outside travels alone."""
    grow(tmp_path, "a/src/pkg/x.py", "a/src/pkg/data.csv", "a/kernel/main.py", "a/kernel/other.py", "b.py")
    tree = collect(tmp_path / "a/src", tmp_path / "a/kernel/main.py")
    assert list(tree.files) == ["kernel/main.py", "src/pkg/data.csv", "src/pkg/x.py"]
    assert (tree.entry, tree.source_root) == ("kernel/main.py", "src")
    tree = collect(tmp_path / "a/src", tmp_path / "a/kernel/main.py", ["kernel", "src/pkg/x.py"])
    assert list(tree.files) == ["kernel/main.py", "kernel/other.py", "src/pkg/x.py"]
    assert collect(tmp_path / "a/src", tmp_path / "a/src/pkg/x.py").source_root == "."


def test_links(tmp_path: Path) -> None:
    """A link to a file of the tree counts as that file; one to a folder, to nothing or out is refused."""
    source = grow(tmp_path / "tree", "main.py", "pkg/a.py", **{"data.txt": "text"})
    grow(tmp_path, "outside.txt")
    (source / "pkg/link.txt").symlink_to("../data.txt")
    assert collect(source, source / "main.py").files["pkg/link.txt"] == b"text"
    no_files = dict.fromkeys(("pkg", "nothing", "bad"), "not a file")
    for target, why in {"../outside.txt": "leads out", **no_files}.items():
        (source / "bad").symlink_to(target)
        with pytest.raises(InputInvalid, match=f"^'bad': .*{why}"):
            collect(source, source / "main.py")
        (source / "bad").unlink()


@pytest.mark.parametrize("text", ["return 1\n", "x = '\0'\n", "# coding: no-such\n", "x = 5 5\n"])
def test_syntax_errors_are_refused(text: str, tmp_path: Path) -> None:
    """A Python file that cannot be compiled is refused with file and line, the entry whatever its name."""
    for name in "pkg/a.py", "run":
        source = grow(tmp_path / name.replace("/", "-"), "run", **{name: text})
        with pytest.raises(InputInvalid, match=f"^{name}:1: "):
            collect(source, source / "run")
    grow(source, run="if True:\n    pass\n  x = 1\n")
    with pytest.raises(InputInvalid, match=r"^run:3: unindent"):
        collect(source, source / "run")


def test_missing_names(tmp_path: Path) -> None:
    """A missing source or entry is refused."""
    grow(tmp_path, "main.py")
    with pytest.raises(InputInvalid, match=r"absent\.py': no such file"):
        collect(tmp_path, tmp_path / "absent.py")
    with pytest.raises(InputInvalid, match="absent': no such folder"):
        collect(tmp_path / "absent", tmp_path / "main.py")


HOME_ONLY = {
    "import kit.remote": "kit.remote",
    "import os, kit.review.report as report": "kit.review.report",
    "from kit import remote": "kit.remote",
    "from kit.bundle.script import bundle": "kit.bundle.script.bundle",
    "from .. import fetch": "kit.fetch",
    "from ..fetch.corpus import x": "kit.fetch.corpus.x",
    "import local_kaggle": "local_kaggle",
    "def later():\n        import kaggle": "kaggle",
    "from kagglesdk import KaggleClient": "kagglesdk.KaggleClient",
    "import importlib\nx = importlib.import_module('kaggle.api')": "kaggle.api",
}


@pytest.mark.parametrize("line", HOME_ONLY)
def test_home_imports_are_refused(line: str, tmp_path: Path) -> None:
    """A bundled file of ours that imports what stays at home is refused with file, line and module."""
    table = '[tool.kit.bundle]\nentry = "main.py"\nsource = "src"\ninclude = ["main.py", "src/kit/task"]\n'
    texts = {"pyproject.toml": table, "src/kit/task/a.py": f'"""Doc."""\n{line}\n'}
    grow(tmp_path, "main.py", "src/kit/remote/b.py", **texts)
    number = 2 + line.count("\n")
    with pytest.raises(InputInvalid, match=f"^src/kit/task/a.py:{number}: imports '{HOME_ONLY[line]}'"):
        collect_project(tmp_path)


def test_other_imports_pass(tmp_path: Path) -> None:
    """Modules that only look like those at home may be imported, and a name in the list must exist."""
    table = '[tool.kit.bundle]\nentry = "main.py"\nsource = "."\ninclude = ["main.py", "kit"]\n'
    text = "import kaggle_secrets\nfrom kit import errors\nfrom kit.task import remote\nimport kit.remotely\n"
    grow(tmp_path, **{"pyproject.toml": table, "main.py": text, "kit/errors.py": "import os.path\n"})
    assert list(collect_project(tmp_path).files) == ["kit/errors.py", "main.py"]
    (tmp_path / "kit").rename(tmp_path / "other")
    with pytest.raises(InputInvalid, match="'kit': no such file or folder"):
        collect_project(tmp_path)
