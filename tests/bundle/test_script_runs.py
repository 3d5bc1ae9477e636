"""A bundle behaves like the tree it was made from: every probe in real processes, on every Python here."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from bundle_probes import PROBES
from probe_package import PACKAGE, plant

from kit.bundle.script import bundle
from kit.bundle.tree import collect
from kit.files import write_whole

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
    variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})}
    ended = subprocess.run(
        command, cwd=cwd, env=variables, input=stdin, capture_output=True, encoding="utf-8", timeout=60
    )
    return ended.returncode, ended.stdout, ended.stderr


def alone(
    python: str, script: str | Path, *arguments: str, top: Path, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a script in an empty folder below `top`, which is its TMPDIR too."""
    environment = {"TMPDIR": str(top)}
    return run(python, script, *arguments, cwd=top / "away", environment=environment, stdin=stdin)


def bundled(top: Path, script: Path) -> Path:
    """Bundle the tree of `plant` below `top` into `script`."""
    write_whole(script, bundle(collect(top / "src", top / "kernel" / "main.py", ["src", "kernel"])).text)
    return script


@pytest.mark.parametrize("name", PROBES)
def test_probe(name: str, python: str, tmp_path: Path) -> None:
    """A bundle prints, ends and fails as its tree does, from another folder, and leaves no file beside it."""
    top = tmp_path / "tree"
    entry = plant(top, PROBES[name])
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(top / "src")}
    status, out, errors = run(
        python, entry, "a b", cwd=tmp_path / "home", environment=environment, stdin="1\n2\n3"
    )
    expected = status, out.replace(f"{top}/", ""), errors.replace(f"{top}/", "")

    script = bundled(top, tmp_path / "renamed" / "script.py")
    top.rename(tmp_path / "gone")
    status, out, errors = alone(python, script, "a b", top=tmp_path, stdin="1\n2\n3")
    unpacked_to = f"{unpacked(tmp_path)}/"
    assert (status, out.replace(unpacked_to, ""), errors.replace(unpacked_to, "")) == expected
    assert list((tmp_path / "away").iterdir()) == []
    assert [path.name for path in script.parent.iterdir()] == ["script.py"]


def make(tmp_path: Path, entry: str) -> Path:
    """Bundle the probes' tree with this entry, remove the tree, return the script."""
    plant(tmp_path / "tree", entry)
    script = bundled(tmp_path / "tree", tmp_path / "script.py")
    shutil.rmtree(tmp_path / "tree")
    return script


def unpacked(tmp_path: Path) -> Path:
    """Return the one folder that a run unpacked below `tmp_path`, its TMPDIR."""
    (found,) = tmp_path.glob("bundle-*")
    return found


def test_unpacked_tree(python: str, tmp_path: Path) -> None:
    """In a new folder below TMPDIR, closed to others, stand the files byte for byte and a manifest."""
    script = make(tmp_path, "print(__file__)\n")
    _, first, _ = alone(python, script, top=tmp_path)
    tree = unpacked(tmp_path)
    for name, data in PACKAGE.items():
        assert (tree / name).read_bytes() == data
    told = json.loads((tree / "bundle.json").read_bytes())
    assert told["files"]["src/pkg/raw.bin"] == hashlib.sha256(PACKAGE["src/pkg/raw.bin"]).hexdigest()
    whole = told["schema"], told["entry"], told["source_root"], told["config"]
    assert whole == (1, "kernel/main.py", "src", None)
    assert tree.stat().st_mode & 0o777 == 0o700
    assert first == f"{tree / 'kernel/main.py'}\n"
    _, again, _ = alone(python, script, top=tmp_path)
    assert again != first


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o700])
@pytest.mark.parametrize("owner", [0, 12345])
def test_temporary_folder_of_others(mode: int, owner: int, tmp_path: Path) -> None:
    """Nothing is unpacked where another user could replace it: elsewhere, if that can be."""
    script = make(tmp_path, "print(__file__)\n")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    if owner and os.getuid():
        pytest.skip("only root gives a folder away")
    if owner:
        os.chown(shared, owner, owner)
    _, out, errors = run(sys.executable, script, cwd=tmp_path, environment={"TMPDIR": str(shared)})
    folder = Path(out.strip()).parents[1]
    is_safe = owner == 0 and mode in (0o1777, 0o700)
    assert folder.parent == (shared if is_safe else Path("/tmp")), errors
    shutil.rmtree(folder)


def test_ranks(python: str, tmp_path: Path) -> None:
    """Eight processes that start at once all run, each from a folder of its own."""
    script = make(tmp_path, "from pkg import DEPTH\nimport pkg.child\nprint(DEPTH())\n")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    ranks = [
        subprocess.Popen([python, script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    ended = {(*rank.communicate(timeout=60), rank.returncode) for rank in ranks}
    assert ended == {(b"pkg.child pkg []\n('names', 'names', 'pkg.inner.deep')\n", b"", 0)}
    assert len(list(tmp_path.glob("bundle-*"))) == 8


def test_manifest(python: str, tmp_path: Path) -> None:
    """With --manifest alone the script prints what is inside, computed then, and neither runs nor unpacks."""
    script = make(tmp_path, "print('it ran')\n")
    command = (python, script, "--manifest")
    status, out, errors = alone(*command, top=tmp_path)
    told = json.loads(out)
    assert (status, errors, list(tmp_path.glob("bundle-*"))) == (0, "", [])
    assert told["files"]["kernel/sibling.py"] == hashlib.sha256(PACKAGE["kernel/sibling.py"]).hexdigest()

    script.write_text(script.read_text("utf-8").replace("it ran", "it was edited"), "utf-8")
    edited = json.loads(alone(*command, top=tmp_path)[1])
    assert edited["bundle_hash"] != told["bundle_hash"]
    assert alone(*command, "and more", top=tmp_path)[1] == "it was edited\n"


def test_read_only_renamed_without_network(python: str, tmp_path: Path) -> None:
    """A renamed script in a folder that cannot be written, with no network, runs."""
    script = make(tmp_path, PROBES["imports"])
    expected = alone(python, script, top=tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir()
    script = script.rename(closed / "no suffix")
    script.chmod(0o444)
    closed.chmod(0o555)
    fenced = subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0
    command = (*(["unshare", "-rn"] if fenced else []), python, "-B", script)
    assert run(*command, cwd=tmp_path / "away", environment={"TMPDIR": str(tmp_path)}) == expected
    assert [path.name for path in closed.iterdir()] == ["no suffix"]


@pytest.mark.parametrize("flags", [["-P"], ["-O"], ["-W", "error"], ["-X", "utf8=0"], ["-u"]])
def test_interpreter_flags(python: str, flags: list[str], tmp_path: Path) -> None:
    """The entry and its children run under the interpreter flags that the script was started with."""
    shown = "    print(sys.flags, sys.warnoptions, sys._xoptions, sys.stdout.write_through)\n"
    entry = plant(tmp_path / "tree", "import sys\nimport pkg\n" + PROBES["pool by spawn"] + shown)
    here = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "tree" / "src")}
    plain = run(python, *flags, entry, cwd=tmp_path / "away", environment=here)
    script = bundled(tmp_path / "tree", tmp_path / "script.py")
    ended = run(python, *flags, script, cwd=tmp_path / "away", environment={"TMPDIR": str(tmp_path)})
    assert (ended[0], ended[1]) == (0, plain[1]), ended[2]


def test_module_that_hides_one_of_python(python: str, tmp_path: Path) -> None:
    """A json.py among the sources hides the standard library's, or does not, as it does at home."""
    entry = plant(tmp_path / "tree", "import json, logging.config\nprint(json.__doc__)\n")
    (tmp_path / "tree/src/json.py").write_text('"""The tree\'s own."""\n')
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "tree/src")}
    at_home = run(python, entry, cwd=tmp_path / "away", environment=environment)
    script = bundled(tmp_path / "tree", tmp_path / "alone" / "script.py")
    assert alone(python, script, top=tmp_path) == at_home
    assert at_home == (0, "The tree's own.\n", "")


def test_script_from_standard_input(python: str, tmp_path: Path) -> None:
    """The script needs no file of its own: it runs from standard input."""
    script = make(tmp_path, PROBES["traceback"])
    for ended in (
        alone(python, "-", top=tmp_path, stdin=script.read_text("utf-8")),
        alone(python, script, top=tmp_path),
    ):
        assert ended[2].endswith("pkg.boom.Boom: ä: ünïcödé\n")


def test_ascii_locale(python: str, tmp_path: Path) -> None:
    """Names that are not ASCII are unpacked as UTF-8 where the locale is C and Python does not help."""
    script = make(tmp_path, "import pkg\nprint(pkg.DEPTH())\n")
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    plain |= {"TMPDIR": str(tmp_path)}
    status, out, errors = run(python, script, cwd=tmp_path / "away", environment=plain)
    assert (status, out, errors) == (0, "('names', 'names', 'pkg.inner.deep')\n", "")
    assert (unpacked(tmp_path) / "src/pkg/ümläut.txt").is_file()


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
    write_whole(script, bundle(collect(source, source / name)).text)
    status, out, errors = alone(python, script, top=tmp_path)
    assert (status, out) == (0, "[Point(2), Point(4)] [Point(9), Point(12)]\nTrue\n1\n"), errors


def test_extension_module(python: str, tmp_path: Path) -> None:
    """A compiled module travels byte for byte and is imported from the unpacked tree."""
    show = [python, "-c", "import xxlimited; print(xxlimited.__file__)"]
    where = subprocess.run(show, capture_output=True, text=True, timeout=60)
    if where.returncode != 0:
        pytest.skip("this Python comes without xxlimited")
    compiled = Path(where.stdout.strip())
    source = tmp_path / "tree"
    source.mkdir()
    shutil.copy(compiled, source / compiled.name)
    (source / "main.py").write_text("import xxlimited\nprint(xxlimited.foo(1, 2), xxlimited.__file__)\n")
    write_whole(tmp_path / "script.py", bundle(collect(source, source / "main.py")).text)
    _, out, _ = alone(python, tmp_path / "script.py", top=tmp_path)
    assert out == f"3 {unpacked(tmp_path) / compiled.name}\n"


def test_compressed_tree(python: str, tmp_path: Path) -> None:
    """A tree that is compressed as a whole runs as one that is not."""
    plant(tmp_path / "tree", PROBES["traceback"])
    (tmp_path / "tree/src/pkg/long.py").write_text("# " + "long " * 200_000)
    script = bundled(tmp_path / "tree", tmp_path / "script.py")
    assert script.stat().st_size < 20_000
    status, _, errors = alone(python, script, top=tmp_path)
    assert (status, errors.endswith("pkg.boom.Boom: ä: ünïcödé\n")) == (1, True)
    assert (unpacked(tmp_path) / "src/pkg/raw.bin").read_bytes() == PACKAGE["src/pkg/raw.bin"]
