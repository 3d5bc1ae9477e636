"""The script that holds a tree: its text, its size, its hashes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from probe_package import plant

from kit.bundle import script
from kit.bundle.script import READABLE_BYTES, bundle
from kit.bundle.tree import LIMIT_BYTES, Tree, collect, collect_project
from kit.config import PROJECT_ROOT
from kit.errors import InputInvalid

SCRIPT = PROJECT_ROOT / "scripts" / "bundle.py"


def manifest(text: str) -> dict[str, Any]:
    """Return what a script itself says that it holds."""
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", ["script.py", "--manifest"]), contextlib.redirect_stdout(printed):
        exec(compile(text, "script.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    return dict(json.loads(printed.getvalue()))


def tree(files: dict[str, bytes], entry: str = "main.py", source_root: str = ".") -> Tree:
    """Return a tree with these files and an entry."""
    return Tree(dict(sorted({"main.py": b"", **files}.items())), entry, source_root)


awkward = st.text(st.sampled_from("'\"\\\n\r\t\0\f\x85\u2028\ufeff{}%a ü\U0001f600"), max_size=40).map(
    str.encode
)
names = st.text(st.sampled_from("ab_'\"\\ üñ\U0001f600\n"), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.dictionaries(names, awkward | st.binary(max_size=300), max_size=4))
@example({"a": b"'''\"\"\"\\"})
@example({"a": b"''''\"\"\"'"})
@example({"a": b"r'''\\'''\"\"\" ''"})
@example({"a": "\u2028".encode(), "b": b"\r\n", "c": b"\xff", "d": b"", "e": b"\n", "f": b"\n\n"})
def test_round_trip(files: dict[str, bytes]) -> None:
    """Every file comes out of the script byte for byte, whatever it is called and holds."""
    given_tree = tree(files)
    made = bundle(given_tree)
    told = manifest(made.text)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in given_tree.files.items()}
    assert (told["files"], told["bundle_hash"]) == (hashes, made.bundle_hash)
    assert made.sha256 == hashlib.sha256(made.text.encode()).hexdigest()


@given(
    st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="'\\\u2028\u2029\ufeff"))
)
def test_readable(text: str) -> None:
    """Text stands in the script as it is."""
    assert f"\n{text}\n" in bundle(tree({"a.txt": f"{text}\n".encode()})).text


@pytest.mark.parametrize(
    "data", [b"a\rb", b"a\0b", b"\xef\xbb\xbfa", "a\u2028b".encode(), b"\xe9", b"a\x0cb"]
)
def test_fragile(data: bytes) -> None:
    """What a viewer may change stands as base85, in lines, and the script is free of it."""
    made = bundle(tree({"a.txt": data * 200}))
    assert "a.txt': base64.b85decode" in made.text
    assert not set(made.text) & set("\r\0\ufeff\u2028\x0c")
    assert max(map(len, made.text.splitlines())) < 130
    assert manifest(made.text)["files"]["a.txt"] == hashlib.sha256(data * 200).hexdigest()


def test_config() -> None:
    """The config arrives as the JSON values that went in; without one it is null."""
    config = {"b": ["ünï", 1.5, None, True], "a": {"c": "quote ' \" \\ \n"}}
    assert manifest(bundle(tree({}), config).text)["config"] == config
    assert manifest(bundle(tree({})).text)["config"] is None
    with pytest.raises(ValueError, match="JSON"):
        bundle(tree({}), {"a": float("nan")})


def test_bundle_hash_covers() -> None:
    """bundle_hash changes with a path, a byte, the entry and the config, and with nothing else."""
    files = {"a.py": b"1", "b.py": b"2"}
    whole = bundle(tree(files), {"x": 1, "y": 2})
    different = [
        bundle(tree({"a.py": b"1", "c.py": b"2"}), {"x": 1, "y": 2}),
        bundle(tree({"a.py": b"1", "b.py": b"3"}), {"x": 1, "y": 2}),
        bundle(tree({"a.py": b"12", "b.py": b""}), {"x": 1, "y": 2}),
        bundle(tree(files, entry="a.py"), {"x": 1, "y": 2}),
        bundle(tree(files), {"x": 1, "y": 3}),
        bundle(tree(files)),
    ]
    assert len({whole.bundle_hash, *(made.bundle_hash for made in different)}) == 7
    assert bundle(tree(files), {"y": 2, "x": 1}) == whole
    with mock.patch("kit.bundle.script._HEAD", "# {count} files, written another way\n"):
        assert bundle(tree(files), {"x": 1, "y": 2}).bundle_hash == whole.bundle_hash


def test_overhead(tmp_path: Path) -> None:
    """The loader, 2 KB, and what frames the files add at most 3 KB to a foreign tree of text."""
    plant(tmp_path, "import pkg\n")
    files = collect(tmp_path, tmp_path / "kernel/main.py").files
    kept = ("/names.py", "main.py", "work.py", "deep.py")
    text = {name: data for name, data in files.items() if name.endswith(kept)}
    made = bundle(Tree(text, "kernel/main.py", "."))
    assert len(made.text.encode()) - sum(map(len, text.values())) <= 3000
    loader = Path(script.__file__).with_name("loader.py").read_text()
    assert loader in made.text
    assert (len(loader) <= 2048, loader.count("\n") <= 60) == (True, True)


def noise(count: int) -> bytes:
    """Return twice so many bytes of text, of which half is left when compressed."""
    return random.Random(count).randbytes(count).hex().encode()


def test_large_tree_is_compressed() -> None:
    """Above the readable size the tree is compressed as a whole; below it every file stands as text."""
    small = bundle(tree({"a.txt": b"word " * (READABLE_BYTES // 5 - 2000)}))
    large = bundle(tree({"a.txt": b"word " * (READABLE_BYTES // 5), "b.bin": bytes(range(256))}))
    assert (small.compressed, large.compressed) == (False, True)
    assert len(large.text) < 20_000
    assert manifest(large.text)["bundle_hash"] == large.bundle_hash


def test_what_compression_enlarges_stays_text() -> None:
    """Noise in base85 would grow in base64: the script stays as it is, and within the limit passes."""
    made = bundle(tree({"a.bin": random.Random(1).randbytes(int(READABLE_BYTES / 1.25))}))
    assert (made.compressed, READABLE_BYTES < len(made.text) < LIMIT_BYTES) == (False, True)


def test_too_large_is_refused() -> None:
    """Over 1 MiB the five largest files are named, largest first."""
    files = {f"{letter}.txt": noise(150_000 + 500 * size) for size, letter in enumerate("abcdefg")}
    with pytest.raises(
        InputInvalid, match=r"'g.txt' 306,000, 'f.txt'.*'e.txt'.*'d.txt'.*'c.txt' 302,000 \("
    ) as caught:
        bundle(tree(files))
    assert f"{LIMIT_BYTES:,}" in caught.value.message


def build(folder: Path, python: str = sys.executable, **environment: str) -> dict[str, str]:
    """Run the script on the tree in `folder` and return what it prints; other Pythons borrow our packages."""
    paths = os.pathsep.join([str(PROJECT_ROOT / "src"), sysconfig.get_path("purelib")])
    printed = subprocess.run(
        [python, SCRIPT, "--source=tree", "--entry=tree/kernel/main.py", "--output=made/kernel.py"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, **environment}, capture_output=True, check=True,
        cwd=folder, text=True, timeout=60, umask=int(environment.get("UMASK", "022"), 8),
    ).stdout  # fmt: skip
    return dict(line.split(None, 1) for line in printed.splitlines())


def test_same_bytes_everywhere(tmp_path: Path) -> None:
    """Clock, time zone, umask, locale, file order, folder and hash seed leave the script's bytes alone."""
    plant(tmp_path / "one/tree", "import pkg\n")
    files = sorted((tmp_path / "one/tree").rglob("*"), reverse=True)
    for path in (path for path in files if path.is_file()):
        copy = tmp_path / "another, further" / path.relative_to(tmp_path / "one")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755)
        os.utime(copy, (1_000_000, 1_000_000))
    first = build(tmp_path / "one", TZ="UTC", PYTHONHASHSEED="0", LC_ALL="C.UTF-8")
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    again = build(tmp_path / "another, further", TZ="Asia/Tokyo", PYTHONHASHSEED="7", UMASK="077", **plain)
    made = Path(tmp_path / "one", first["path"]).read_bytes()
    assert first == again
    assert (first["sha256"], int(first["bytes"])) == (hashlib.sha256(made).hexdigest(), len(made))


@pytest.mark.slow
def test_same_bytes_on_other_pythons(tmp_path: Path) -> None:
    """Every Python here writes the same bytes, of text and of a tree compressed as a whole."""
    from test_script_runs import OTHERS

    plant(tmp_path / "tree", "import pkg\n")
    for _ in range(2):
        assert {build(tmp_path, str(python))["sha256"] for python in (sys.executable, *OTHERS)} == {
            build(tmp_path)["sha256"]
        }
        (tmp_path / "tree/long.txt").write_bytes(noise(400_000) * 3)


def test_our_tree() -> None:
    """Our own bundle is readable and holds its config and nothing of what stays at home."""
    made = bundle(collect_project(PROJECT_ROOT), {"preset": "none"})
    assert not made.compressed
    assert {"kernel/main.py", "src/kit/errors.py"} <= set(made.files)
    home = ("src/kit/remote", "src/kit/review", "src/local_kaggle")
    assert not any(path.startswith(home) for path in made.files)
    told = manifest(made.text)
    assert (told["config"], told["source_root"]) == ({"preset": "none"}, "src")


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run scripts/bundle.py."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_command(tmp_path: Path) -> None:
    """Our tree comes with settings and metadata, a foreign one with settings only if a preset is named."""
    ours = command("--preset=tiny", "--set=seed=7", "--output=ours/mine.py", cwd=tmp_path)
    assert (ours.returncode, ours.stderr) == (0, "")
    told = manifest((tmp_path / "ours/mine.py").read_text("utf-8"))
    assert (told["config"]["preset"], told["config"]["seed"]) == ("tiny", 7)
    assert f"bundle_hash  {told['bundle_hash']}\n" in ours.stdout
    assert json.loads((tmp_path / "ours/kernel-metadata.json").read_text())["code_file"] == "mine.py"

    notebook = command(
        "--preset=tiny", "--set=kernel.form=notebook", "--output=ours/kernel.ipynb", cwd=tmp_path
    )
    assert (notebook.returncode, notebook.stderr) == (0, "")
    assert json.loads((tmp_path / "ours/kernel.ipynb").read_text())["nbformat"] == 4
    assert json.loads((tmp_path / "ours/kernel-metadata.json").read_text())["code_file"] == "kernel.ipynb"

    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/main.py").write_text("print('foreign')\n")
    foreign = ["--source=foreign", "--entry=foreign/main.py", "--output=made.py"]
    for more, preset in (([], None), (["--preset=tiny"], "tiny")):
        assert command(*foreign, *more, cwd=tmp_path).returncode == 0
        config = manifest((tmp_path / "made.py").read_text("utf-8"))["config"]
        assert (config and config["preset"]) == preset
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "made.py", "ours"]


def test_command_refuses(tmp_path: Path) -> None:
    """A mistake is one line on stderr that names the place and the way out, and status 1."""
    (tmp_path / "main.py").write_text("def broken(:\n")
    refused = command("--source=.", "--entry=main.py", "--output=made.py", cwd=tmp_path)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert refused.stderr.startswith("error: main.py:1: ")
    assert command("--entry=main.py", cwd=tmp_path).returncode == 2
