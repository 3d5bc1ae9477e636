"""Read the files that a bundle holds, and refuse what must not leave the house or could not run there.

It does not write the bundle. Names are relative to the closest folder that holds both source and entry.
"""

import ast
import fnmatch
import os
import subprocess
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.bundle import secrets
from kit.bundle.origin import git
from kit.errors import InputInvalid

HOME_ONLY = ("kit.bundle", "kit.remote", "kit.review", "kit.fetch", "local_kaggle", "kagglesdk", "kaggle")
"""Modules that bundled code of our own must not import: they stay at home."""

LIMIT_BYTES = 1024 * 1024  # Kaggle answers a larger script with a bare 400

_NEVER = (
    *(".git", ".hg", ".svn", "__pycache__", "*.py[co]", "*.egg-info", ".venv", ".tox", ".nox"),
    *(".*_cache", ".hypothesis", ".ipynb_checkpoints", ".idea", ".vscode"),
    *("*~", ".*.sw?", ".#*", "#*#", ".DS_Store", "Thumbs.db"),
)

_HOPELESS_BYTES = 32 * LIMIT_BYTES  # more is not even read: source compresses to a fifth at best


@dataclass(frozen=True)
class Tree:
    """The files to bundle."""

    files: Mapping[str, bytes]
    """Bytes by relative path with forward slashes, sorted by path."""
    entry: str
    """The path of the file that runs."""
    source_root: str
    """The path of the folder that imports start from, `.` for the folder that holds everything."""
    allow: Sequence[str] = ()
    """Findings of `secrets` that are none, as `path: kind`."""


def collect(
    source: Path, entry: Path, include: Sequence[str] | None = None, *, allow: Sequence[str] = ()
) -> Tree:
    """Read `source` whole, or the files and folders that `include` names, with the entry.

    What git ignores stays out in a checkout, and caches and editor files everywhere. A symbolic link counts
    as the file it leads to if that lies in the tree; any other link would carry along what a checkout does
    not hold, or run in a circle, and is refused, as are syntax errors, and secrets that `allow` does not
    name. Raises InputInvalid.
    """
    source, entry = Path(os.path.abspath(source)), Path(os.path.abspath(entry))  # noqa: PTH100  (links stay)
    for path, is_there, kind in ((source, source.is_dir(), "folder"), (entry, entry.is_file(), "file")):
        if not is_there:
            raise InputInvalid(f"{str(path)!r}: no such {kind}", hint="python scripts/bundle.py --help")
    top = Path(os.path.commonpath([source, entry.parent]))
    paths = [entry, *(_listing(source) if include is None else _chosen(top, include))]
    sizes = {_name(path, top): path.stat().st_size for path in paths if path.exists()}
    if sum(sizes.values()) > _HOPELESS_BYTES:
        raise too_large(sum(sizes.values()), sizes)
    files = {_name(path, top): _read(path, top) for path in paths}
    tree = Tree(dict(sorted(files.items())), _name(entry, top), _name(source, top), allow)
    if "bundle.json" in files:
        raise InputInvalid("'bundle.json': the unpacked bundle writes its manifest there", hint="rename it")
    secrets.refuse(tree.files, allow)
    _refuse_syntax_errors(tree)
    return tree


def too_large(size: int, sizes: Mapping[str, int]) -> InputInvalid:
    """Return the refusal that names the five largest files; `sizes` are bytes by path."""
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:5]
    named = ", ".join(f"{path!r} {count:,}" for path, count in largest)
    text = f"{size:,} bytes, and Kaggle takes a script of {LIMIT_BYTES:,}; the largest files: {named}"
    return InputInvalid(text, hint="attach data as a Kaggle dataset, or let git ignore it")


def collect_project(project: Path, entry: str | None = None) -> Tree:
    """Read the files that `[tool.kit.bundle]` in the pyproject.toml of `project` names, with another entry.

    Beyond what `collect` refuses, a file that imports a module of HOME_ONLY raises InputInvalid.
    """
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["kit"]["bundle"]
    source, script = project / table["source"], project / (entry or table["entry"])
    tree = collect(source, script, table["include"], allow=table.get("allow", ()))
    for path, data in tree.files.items():
        for line, module in _imports(path, data, tree.source_root):
            if any(f"{module}.".startswith(f"{home}.") for home in HOME_ONLY):
                raise InputInvalid(
                    f"{path}:{line}: imports {module!r}, which stays at home",
                    hint="move what both sides need to kit.task or kit.config",
                )
    return tree


def _chosen(top: Path, include: Sequence[str]) -> Iterator[Path]:
    for name in include:
        path = top / name
        if path.is_dir():
            yield from _listing(path)
        elif path.is_file():
            yield path
        else:
            hint = "mend [tool.kit.bundle] in pyproject.toml"
            raise InputInvalid(f"{name!r}: no such file or folder", hint=hint)


def _listing(folder: Path) -> list[Path]:
    names = _git_listing(folder) or [
        os.path.relpath(Path(root, name), folder)
        for root, folders, files in os.walk(folder)
        # A link to a folder is listed, not entered, and refused when it is read.
        for name in [*files, *(name for name in folders if Path(root, name).is_symlink())]
    ]
    paths = []
    for name in names:
        path = folder / name
        if any(fnmatch.fnmatchcase(part, pattern) for part in Path(name).parts for pattern in _NEVER):
            continue
        if path.is_dir() and not path.is_symlink():
            paths += _listing(path)  # a repository inside the checkout, which git only names
        elif path.is_symlink() or path.exists():
            paths.append(path)
    environments = {path.parent for path in paths if path.name == "pyvenv.cfg"}
    return [path for path in paths if environments.isdisjoint(path.parents)]


def _git_listing(folder: Path) -> list[str]:
    """Return the files below `folder` that git tracks or would track; none outside a checkout."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return []
    try:
        listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "stderr", None) or str(error).encode()
        text = f"{str(folder)!r}: git cannot say what it ignores: {why.decode(errors='replace').strip()}"
        raise InputInvalid(text, hint=f"git -C {folder} status") from error
    return sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})


def _name(path: Path, top: Path) -> str:
    try:
        return os.fsencode(path.relative_to(top).as_posix()).decode()
    except UnicodeDecodeError:
        raise InputInvalid(f"{str(path)!r}: the name is not UTF-8", hint="rename it") from None


def _read(path: Path, top: Path) -> bytes:
    target = Path(os.path.realpath(path))
    if path.is_symlink() and not target.is_relative_to(os.path.realpath(top)):
        text = f"{_name(path, top)!r}: a link that leads out of the tree"
        raise InputInvalid(text, hint="copy the file there")
    if not target.is_file():
        raise InputInvalid(f"{_name(path, top)!r}: not a file, nor a link to one", hint="remove it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputInvalid(f"{_name(path, top)!r}: cannot be read: {error.strerror}") from error


def _refuse_syntax_errors(tree: Tree) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a string is the author's affair
        for path, data in tree.files.items():
            if path.endswith(".py") or path == tree.entry:
                try:
                    compile(data, path, "exec", dont_inherit=True)
                except (SyntaxError, ValueError) as error:
                    line = getattr(error, "lineno", None) or 1
                    text = f"{path}:{line}: {getattr(error, 'msg', error)}"
                    raise InputInvalid(text, hint="mend it") from None


def _imports(path: str, data: bytes, source_root: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of each import in a Python file, literal dynamic ones included."""
    if not path.endswith(".py"):
        return
    package = path.removeprefix(f"{source_root}/").split("/")[:-1]
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for word in node.args[:1]:
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield node.lineno, word.value
