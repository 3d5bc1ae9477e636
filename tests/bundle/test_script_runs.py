"""A bundle behaves like the tree it was made from: every probe in real processes, on every Python here."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from bundle_probes import PACKAGE, PROBES, plant

from kit.bundle.script import bundle, write
from kit.bundle.tree import collect

OTHERS = sorted(Path(pwd.getpwuid(os.getuid()).pw_dir, ".pyenv/versions").glob("3.1[2-9]*/bin/python"))
PYTHONS = [
    pytest.param(sys.executable, id="this"),
    *(pytest.param(str(path), id=path.parts[-3], marks=pytest.mark.slow) for path in OTHERS),
]


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """Each interpreter here that a kernel may meet."""
    return str(request.param)


def run(
    *command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a command away from the tests' own environment; give status, output and errors."""
    cwd.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


def bundled(top: Path, script: Path) -> Path:
    """Bundle the tree of `plant` below `top` into `script`."""
    write(bundle(collect(top / "src", top / "kernel" / "main.py", ["src", "kernel"])), script)
    return script


@pytest.mark.parametrize("name", PROBES)
def test_probe(name: str, python: str, tmp_path: Path) -> None:
    """A bundle prints, ends and fails as its tree does, with names relative to it, and leaves no file."""
    top, away = tmp_path / "tree", tmp_path / "away"
    entry = plant(top, PROBES[name])
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(top / "src")}
    status, out, errors = run(
        python, entry, "a b", cwd=tmp_path / "home", environment=environment, stdin="1\n2\n3"
    )
    expected = status, out.replace(f"{top}/", ""), errors.replace(f"{top}/", "")

    script = bundled(top, tmp_path / "renamed" / "script.py")
    top.rename(tmp_path / "gone")
    environment = {"TMPDIR": str(tmp_path)}
    assert run(python, script, "a b", cwd=away, environment=environment, stdin="1\n2\n3") == expected
    assert list(away.iterdir()) == []
    assert [path.name for path in script.parent.iterdir()] == ["script.py"]


def make(tmp_path: Path, entry: str) -> Path:
    """Bundle the probes' tree with this entry, remove the tree, return the script."""
    plant(tmp_path / "tree", entry)
    script = bundled(tmp_path / "tree", tmp_path / "script.py")
    shutil.rmtree(tmp_path / "tree")
    return script


def unpacked(tmp_path: Path) -> Path:
    """Return the one folder that a run unpacked below `tmp_path`, its TMPDIR."""
    (found,) = [path for path in tmp_path.glob("bundles-*/*") if path.is_dir() and "-" not in path.name]
    return found


def test_unpacked_tree(python: str, tmp_path: Path) -> None:
    """Below TMPDIR stand the files byte for byte and a manifest, closed to others, kept for next time."""
    script = make(tmp_path, "print(__file__)\n")
    _, first, _ = run(python, script, cwd=tmp_path / "one", environment={"TMPDIR": str(tmp_path)})
    tree = unpacked(tmp_path) / "tree"
    for name, data in PACKAGE.items():
        assert (tree / name).read_bytes() == data
    told = json.loads((tree / "bundle.json").read_bytes())
    assert told["files"]["src/pkg/raw.bin"] == hashlib.sha256(PACKAGE["src/pkg/raw.bin"]).hexdigest()
    assert (told["schema"], told["entry"], told["source_root"], told["config"]) == (
        1,
        "kernel/main.py",
        "src",
        None,
    )
    assert tree.parents[1].stat().st_mode & 0o777 == 0o700
    assert first == f"{tree / 'kernel/main.py'}\n"
    _, again, _ = run(python, script, cwd=tmp_path / "two", environment={"TMPDIR": str(tmp_path)})
    assert again == first


def test_manifest(python: str, tmp_path: Path) -> None:
    """With --manifest alone the script prints what is inside, computed then, and neither runs nor unpacks."""
    script = make(tmp_path, "print('it ran')\n")
    command = (python, script, "--manifest")
    status, out, errors = run(*command, cwd=tmp_path, environment={"TMPDIR": str(tmp_path)})
    told = json.loads(out)
    assert (status, errors, list(tmp_path.glob("bundles-*"))) == (0, "", [])
    assert told["files"]["kernel/sibling.py"] == hashlib.sha256(PACKAGE["kernel/sibling.py"]).hexdigest()

    script.write_text(script.read_text("utf-8").replace("it ran", "it was edited"), "utf-8")
    edited = json.loads(run(*command, cwd=tmp_path)[1])
    assert edited["bundle_hash"] != told["bundle_hash"]
    command = (python, script, "--manifest", "and more")
    assert run(*command, cwd=tmp_path, environment={"TMPDIR": str(tmp_path)})[1] == "it was edited\n"


def _cut(folder: Path) -> None:
    (folder / "tree/src/pkg/names.py").write_bytes(b"NAME = 'cu")


def _drop(folder: Path) -> None:
    (folder / "tree/src/pkg/inner/deep.py").unlink()


def _turn_into_folder(folder: Path) -> None:
    (folder / "tree/kernel/beside.txt").unlink()
    (folder / "tree/kernel/beside.txt").mkdir()


def _forge_manifest(folder: Path) -> None:
    (folder / "tree/bundle.json").write_text("{}")


def _forge_hook(folder: Path) -> None:
    (folder / "hook/sitecustomize.py").write_text("raise SystemExit(9)")


def _replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def _half_make(folder: Path) -> None:
    shutil.rmtree(folder / "tree")
    (folder / "tree" / "kernel").mkdir(parents=True)


DAMAGES = (_cut, _drop, _turn_into_folder, _forge_manifest, _forge_hook, _replace_by_file, _half_make)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(python: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    """A damaged or half-made folder is set aside and unpacked anew."""
    script = make(tmp_path, PROBES["imports"] + PROBES["resources"])
    here = {"cwd": tmp_path / "away", "environment": {"TMPDIR": str(tmp_path)}}
    whole = run(python, script, **here)
    assert whole[0] == 0
    damage(unpacked(tmp_path))
    assert run(python, script, **here) == whole
    assert len(list(tmp_path.glob("bundles-*/*-damaged"))) == 1
    assert run(python, script, **here) == whole
    assert len(list(tmp_path.glob("bundles-*/*-damaged"))) == 1


@pytest.mark.parametrize("damage", [None, _cut, _drop])
def test_ranks(python: str, damage: Callable[[Path], None] | None, tmp_path: Path) -> None:
    """Eight processes that start at once on no folder, or on a damaged one, all run; one of them writes."""
    script = make(tmp_path, "from pkg import DEPTH\nimport pkg.child\nprint(DEPTH())\n")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    if damage:
        run(python, script, cwd=tmp_path, environment=environment)
        damage(unpacked(tmp_path))
    ranks = [
        subprocess.Popen([python, script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    ended = {(*rank.communicate(timeout=60), rank.returncode) for rank in ranks}
    assert ended == {(b"pkg.child pkg []\n('names', 'names', 'pkg.inner.deep')\n", b"", 0)}
    assert len(list(tmp_path.glob("bundles-*/*-damaged"))) == bool(damage)
    assert unpacked(tmp_path)


@pytest.mark.parametrize("squat", [lambda path: path.symlink_to("/tmp"), lambda path: path.mkdir(0o777)])
def test_folder_of_others(python: str, squat: Callable[[Path], None], tmp_path: Path) -> None:
    """A link, or a folder open to others, where the private one should be is left alone."""
    script = make(tmp_path, "print(__file__)\n")
    squatter = tmp_path / f"bundles-{os.getuid()}"
    squat(squatter)
    if not squatter.is_symlink():
        squatter.chmod(0o777)
    _, out, _ = run(python, script, cwd=tmp_path, environment={"TMPDIR": str(tmp_path)})
    folder = Path(out).parents[2]
    assert folder.parent.parent == Path("/tmp")
    assert squatter.is_symlink() or not list(squatter.iterdir())
    shutil.rmtree(folder)


def test_sitecustomize_already_there(python: str, tmp_path: Path) -> None:
    """A sitecustomize that was there runs in the script and in its children, and is the one they import."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("print('mine', flush=True)\nMINE = 1\n")
    entry = """
import subprocess, sys, sitecustomize, pkg.names
print(sitecustomize.MINE, flush=True)
if len(sys.argv) == 1:
    text = "import sitecustomize, sys, pkg; print(sitecustomize.MINE, type(pkg.__loader__).__module__)"
    text += "; print([path for path in sys.path if path.endswith('hook')])"
    subprocess.run([sys.executable, "-c", text], check=True)
"""
    script = make(tmp_path, entry)
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "site")}
    status, out, errors = run(python, script, cwd=tmp_path, environment=environment)
    assert (status, out, errors) == (0, "mine\n1\nmine\n1 sitecustomize\n[]\n", "")


def test_broken_sitecustomize(python: str, tmp_path: Path) -> None:
    """A sitecustomize that fails says so as it always did, and the script's children run all the same."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("raise ValueError('broken')\n")
    entry = (
        "import subprocess, sys\nsys.exit(subprocess.run([sys.executable, '-c', 'import pkg']).returncode)\n"
    )
    script = make(tmp_path, entry)
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "site")}
    status, _, errors = run(python, script, cwd=tmp_path, environment=environment)
    assert status == 0
    assert errors.count("Error in sitecustomize") == 2


def test_hooks_already_there(python: str, tmp_path: Path) -> None:
    """Hooks for uncaught exceptions that a sitecustomize sets stay in force."""
    (tmp_path / "site").mkdir()
    text = "import sys, threading\nsys.excepthook = lambda kind, *_: print(kind)\n"
    (tmp_path / "site/sitecustomize.py").write_text(
        text + "threading.excepthook = lambda args: print(args[1])\n"
    )
    entry = "import threading\nthread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\n"
    script = make(tmp_path, entry + "thread.join()\n{}[0]\n")
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "site")}
    status, out, errors = run(python, script, cwd=tmp_path, environment=environment)
    assert (status, out, errors) == (1, "division by zero\n<class 'KeyError'>\n", "")


def test_source_text_is_the_bundle_s(python: str, tmp_path: Path) -> None:
    """A file of the same relative name below the working directory does not lend its text to a traceback."""
    script = make(tmp_path, PROBES["chained traceback"])
    away = tmp_path / "away"
    for name in "kernel/main.py", "src/pkg/boom.py":
        (away / name).parent.mkdir(parents=True)
        (away / name).write_text("print('another file')\n" * 60)
    status, _, errors = run(python, script, cwd=away, environment={"TMPDIR": str(tmp_path)})
    assert status == 1
    assert 'raise KeyError("second") from error' in errors
    assert "another file" not in errors


def test_read_only_renamed_without_network(python: str, tmp_path: Path) -> None:
    """A renamed script in a folder that cannot be written, with no network, runs."""
    script = make(tmp_path, PROBES["imports"])
    expected = run(python, script, cwd=tmp_path / "away", environment={"TMPDIR": str(tmp_path)})
    closed = tmp_path / "closed"
    closed.mkdir()
    script = script.rename(closed / "no suffix")
    script.chmod(0o444)
    closed.chmod(0o555)
    alone = (
        ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0 else []
    )
    command = (*alone, python, "-B", script)
    assert (
        run(*command, cwd=tmp_path / "away", environment={"TMPDIR": str(tmp_path / "closed/..")}) == expected
    )
    assert [path.name for path in closed.iterdir()] == ["no suffix"]


@pytest.mark.parametrize("flags", [["-I"], ["-E", "-s"], ["-P"], ["-O"], ["-W", "error"], ["-X", "utf8=0"]])
def test_interpreter_flags(python: str, flags: list[str], tmp_path: Path) -> None:
    """No flag of the interpreter keeps the script from its modules or its pool from its functions.

    The folder of the entry is importable just where the folder of any script is.
    """
    sibling = "    import importlib.util\n    print(importlib.util.find_spec('sibling') is None)\n"
    script = make(tmp_path, "import pkg\n" + PROBES["pool by spawn"] + sibling)
    environment = {"TMPDIR": str(tmp_path)}
    status, out, errors = run(python, *flags, script, cwd=tmp_path / "away", environment=environment)
    expected = f"[Point(2), Point(4)] [Point(9), Point(12)]\nTrue\n1\n{flags[0] in ('-I', '-P')}\n"
    assert (status, out) == (0, expected), errors


def test_script_from_standard_input(python: str, tmp_path: Path) -> None:
    """The script needs no file of its own: it runs from standard input."""
    script = make(tmp_path, PROBES["traceback"])
    here = {"cwd": tmp_path / "away", "environment": {"TMPDIR": str(tmp_path)}}
    assert run(python, "-", stdin=script.read_text("utf-8"), **here) == run(python, script, **here)


def test_ascii_locale(python: str, tmp_path: Path) -> None:
    """Names that are not ASCII are unpacked as UTF-8 where the locale is C and Python does not help."""
    script = make(tmp_path, "import pkg\nprint(pkg.DEPTH())\n")
    plain = {
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "TMPDIR": str(tmp_path),
    }
    status, out, errors = run(python, script, cwd=tmp_path / "away", environment=plain)
    assert (status, out, errors) == (0, "('names', 'names', 'pkg.inner.deep')\n", "")
    assert (unpacked(tmp_path) / "tree" / "src/pkg/ümläut.txt").is_file()


@pytest.mark.parametrize("name", ["__main__.py", "site.py", "train-v1.0.py", "no_suffix", "entry.py"])
def test_entry_of_any_name(python: str, name: str, tmp_path: Path) -> None:
    """Whatever the entry is called, its functions reach a spawned pool; a package of that name is not it."""
    source = tmp_path / "tree"
    (source / "entry").mkdir(parents=True)
    (source / "entry/__init__.py").write_text("raise SystemExit('the package ran')\n")
    entry = PROBES["pool by spawn"].replace("from pkg.work import Point, double, refuse", "")
    work = PACKAGE["src/pkg/work.py"].decode()
    (source / name).write_text(work + entry)
    script = tmp_path / "script.py"
    write(bundle(collect(source, source / name)), script)
    status, out, errors = run(python, script, cwd=tmp_path / "a", environment={"TMPDIR": str(tmp_path)})
    assert (status, out) == (0, "[Point(2), Point(4)] [Point(9), Point(12)]\nTrue\n1\n"), errors


def test_launcher_by_spec_name(python: str, tmp_path: Path) -> None:
    """A launcher that starts `python -m` with the name of the script's spec starts the script again."""
    entry = """
import subprocess, sys, sibling
print(sys.argv[1:], flush=True)
if len(sys.argv) == 1:
    subprocess.run([sys.executable, "-m", __spec__.name, "child"], check=True)
"""
    script = make(tmp_path, entry)
    status, out, errors = run(python, script, cwd=tmp_path / "a", environment={"TMPDIR": str(tmp_path)})
    assert (status, out, errors) == (0, "[]\n['child']\n", "")


def test_extension_module(python: str, tmp_path: Path) -> None:
    """A compiled module travels byte for byte and is imported from the unpacked tree."""
    where = subprocess.run(
        [python, "-c", "import xxlimited; print(xxlimited.__file__)"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if where.returncode != 0:
        pytest.skip("this Python comes without xxlimited")
    compiled = Path(where.stdout.strip())
    source = tmp_path / "tree"
    source.mkdir()
    shutil.copy(compiled, source / compiled.name)
    (source / "main.py").write_text("import xxlimited\nprint(xxlimited.foo(1, 2), xxlimited.__file__)\n")
    write(bundle(collect(source, source / "main.py")), tmp_path / "script.py")
    _, out, _ = run(python, tmp_path / "script.py", cwd=tmp_path / "a", environment={"TMPDIR": str(tmp_path)})
    assert out == f"3 {unpacked(tmp_path) / 'tree' / compiled.name}\n"


def test_compressed_tree(python: str, tmp_path: Path) -> None:
    """A tree that is compressed as a whole runs as one that is not."""
    plant(tmp_path / "tree", PROBES["traceback"])
    (tmp_path / "tree/src/pkg/long.py").write_text("# " + "long " * 200_000)
    script = bundled(tmp_path / "tree", tmp_path / "script.py")
    assert script.stat().st_size < 20_000
    status, _, errors = run(python, script, cwd=tmp_path / "a", environment={"TMPDIR": str(tmp_path)})
    assert status == 1
    assert errors.endswith("pkg.boom.Boom: ä: ünïcödé\n")
    assert (unpacked(tmp_path) / "tree/src/pkg/raw.bin").read_bytes() == PACKAGE["src/pkg/raw.bin"]
