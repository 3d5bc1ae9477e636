"""A script in the sandbox finds what it would find on Kaggle, and nothing else of this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from sandbox_run import run

from local_kaggle import sandbox
from local_kaggle.sandbox import Mount

namespaces = pytest.mark.skipif(
    not sandbox.namespaces_allowed(), reason="user namespaces are not allowed here, and the sandbox says so"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder to mount, with a file in a folder of its own."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "train.csv").write_text("ID\n1\n")
    (folder / "deep" / "config.json").write_text("{}")
    return folder


def test_a_script_stands_alone_where_kaggle_puts_it(tmp_path: Path) -> None:
    """It is called script.py, has no siblings and no arguments and starts in src."""
    script = """
        import json, os, sys
        print(json.dumps([__file__, os.getcwd(), sys.argv[1:], os.listdir()]))
    """
    status, output = run(tmp_path / "root", script)
    source = str(tmp_path / "root" / "kaggle" / "src")
    assert status == 0
    assert json.loads(output.text()) == [f"{source}/script.py", source, [], ["script.py"]]


def test_a_script_gets_no_stdin(tmp_path: Path) -> None:
    """What the caller could type is not there to be read."""
    readable, writable = os.pipe()
    os.write(writable, b"typed")
    os.close(writable)
    own = os.dup(0)
    os.dup2(readable, 0)
    try:
        status, output = run(tmp_path, "import sys; print(repr(sys.stdin.read()))")
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(readable)
    assert (status, output.text()) == (0, "''\n")


def test_the_environment_is_kaggles_and_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials, PYTHONPATH and pip's settings of the caller stay outside; thread settings come along."""
    secrets = ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "HF_TOKEN")
    for name in (*secrets, "PYTHONPATH", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    status, output = run(tmp_path, "import json, os; print(json.dumps(dict(os.environ)))")
    environment = json.loads(output.text())
    assert status == 0
    names = {name for name in environment if not name.lower().endswith("_proxy")}
    assert names == {"OMP_NUM_THREADS", "OMP_WAIT_POLICY", "LOCAL_KAGGLE_SANDBOX"} | {
        *("PATH", "HOME", "TMPDIR", "LANG", "KAGGLE_KERNEL_RUN_TYPE")
    }
    assert environment["KAGGLE_KERNEL_RUN_TYPE"] == "Batch"
    assert Path(environment["HOME"]) == tmp_path / "home"


def test_temporary_names_are_short_enough_for_sockets(tmp_path: Path) -> None:
    """A deep root must not keep processes from talking to each other; nothing temporary stays behind."""
    script = """
        import multiprocessing.connection as c, os, tempfile
        c.Listener(family="AF_UNIX").close()
        print(tempfile.gettempdir())
    """
    status, output = run(tmp_path / ("long" * 20), script)
    assert (status, Path(output.text().strip()).exists()) == (0, False)


def test_child_env_names_the_folders(tmp_path: Path) -> None:
    """`{input}` and `{working}` become paths, also inside longer values."""
    given = {"A": "{input}:{working}/x", "B": "plain"}
    status, output = run(tmp_path, "import os; print(os.environ['A'], os.environ['B'])", child_env=given)
    assert status == 0
    assert output.text() == f"{tmp_path}/kaggle/input:{tmp_path}/kaggle/working/x plain\n"


MOUNTS = [
    ("competitions", "titanic", "titanic"),
    ("datasets", "me/words", "words"),
    ("notebooks", "me/earlier", "earlier"),
    ("models", "meta/llama/transformers/8b/2", "llama/transformers/8b/2"),
]


@pytest.mark.parametrize(("kind", "handle", "old"), MOUNTS)
@pytest.mark.parametrize("layout", ["2026", "old"])
def test_inputs_are_found_where_each_layout_has_them(
    tmp_path: Path, data: Path, kind: Any, handle: str, old: str, layout: Any
) -> None:
    """Walking the input folder, as Kaggle's own template does, meets every file of every mount."""
    script = """
        import os
        top = os.environ["INPUT"]
        for parent, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                path = os.path.join(parent, name)
                print(os.path.relpath(path, top), open(path).read().split())
    """
    given = {"mounts": [Mount(kind, handle, data)], "layout": layout, "child_env": {"INPUT": "{input}"}}
    status, output = run(tmp_path / "root", script, **given)
    folder = f"{kind}/{handle}" if layout == "2026" else old
    assert status == 0
    assert output.text() == f"{folder}/train.csv ['ID', '1']\n{folder}/deep/config.json ['{{}}']\n"


@pytest.mark.parametrize(
    ("mount", "variable", "message"),
    [
        ("gone", "", r"gone.*datasets 'me/x'"),  # what it should have been
        (".", "", "lies inside the folder of 'me/x'"),  # it would contain itself
        # A kernel on Kaggle has no API credentials, so a rehearsal with them would prove nothing.
        *(("data", name, name) for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN")),
    ],
)
def test_what_no_kernel_may_have_is_refused_before_anything_runs(
    tmp_path: Path, data: Path, mount: str, variable: str, message: str
) -> None:
    """A missing mount, one that holds the root, and credentials; the message names the folder or variable."""
    given = {"mounts": [Mount("datasets", "me/x", tmp_path / mount)]}
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        run(tmp_path / "root", "", **given, child_env={variable: "x"} if variable else {})
    assert not (tmp_path / "root").exists()


@namespaces
@pytest.mark.parametrize("where", ["src/script.py", "src/new", "input/datasets/me/x/train.csv", "input/new"])
def test_sources_and_inputs_cannot_be_written(tmp_path: Path, data: Path, where: str) -> None:
    """The script, the folder around it, the mounts and the user's own files behind them are read-only."""
    script = f"open(__file__.removesuffix('src/script.py') + {where!r}, 'a').write('x')"
    status, output = run(tmp_path / "root", script, mounts=[Mount("datasets", "me/x", data)])
    assert status == 1
    assert any(reason in output.text("stderr") for reason in ("Read-only file system", "Permission denied"))
    assert (data / "train.csv").read_text() == "ID\n1\n"


@namespaces
def test_a_script_sees_its_own_tree_and_what_python_needs(tmp_path: Path, data: Path) -> None:
    """Regular files as inputs; no home, no checkout, no other process, no other server's records."""
    secret = tmp_path / "state.json"
    secret.write_text("secret")
    places = [str(secret), str(Path(__file__)), str(Path.home() / ".kaggle"), str(Path.home() / ".bashrc")]
    script = f"""
        import os
        root = __file__.removesuffix("src/script.py")
        given = root + "input/datasets/me/x/train.csv"
        print([place for place in {places!r} if os.path.exists(place)])
        print(os.path.isfile(given), os.path.islink(given))
        print(len([name for name in os.listdir("/proc") if name.isdigit()]))
        for place in ("/usr/x", "/x", "/etc/x", {str(tmp_path / "x")!r}):
            try:
                open(place, "w")
            except OSError as error:
                print(type(error).__name__)
    """
    status, output = run(tmp_path / "root", script, mounts=[Mount("datasets", "me/x", data)])
    assert status == 0, output.text("stderr")
    assert output.text().splitlines()[:3] == ["[]", "True False", "2"]
    assert output.text().splitlines()[3:] == ["OSError"] * 3
    assert not (tmp_path / "x").exists()


@namespaces
@pytest.mark.parametrize("way", ["mount", "unshare"])
def test_inputs_cannot_be_made_writable_again(tmp_path: Path, data: Path, way: str) -> None:
    """Neither directly nor from namespaces that the script makes for itself."""
    mount = "cd $INPUT/datasets/me/x && mount -o remount,bind,rw $PWD; echo x >> train.csv"
    command = ["sh", "-c", mount] if way == "mount" else ["unshare", "-rm", "sh", "-c", mount]
    script = f"import subprocess; print(subprocess.run({command!r}).returncode)"
    mounts = [Mount("datasets", "me/x", data)]
    _, output = run(tmp_path / "root", script, mounts=mounts, child_env={"INPUT": "{input}"})
    assert int(output.text()) != 0
    assert (data / "train.csv").read_text() == "ID\n1\n"


CONNECT = """
    import os, socket
    own = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(own.getsockname()).close()
    print("loopback works")
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=5).close()
    print("the host is reached")
"""


@namespaces
@pytest.mark.parametrize(("network", "reached"), [(False, False), (True, True)])
def test_the_network_ends_at_loopback_unless_allowed(tmp_path: Path, network: bool, reached: bool) -> None:
    """Processes of the script can talk to each other, and to the world only when that is allowed."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = str(host.getsockname()[1])
        status, output = run(tmp_path, CONNECT, network=network, child_env={"PORT": port})
    assert (status == 0) is reached
    assert output.text().splitlines() == ["loopback works", "the host is reached"][: 1 + reached]


def test_without_namespaces_proxies_are_dead_and_a_notice_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Libraries that honour proxies fail at once, loopback excepted, and nobody believes in a fence."""
    monkeypatch.setattr(sandbox, "namespaces_allowed", lambda: False)
    script = "import os; print(os.environ['https_proxy'], os.environ['HTTP_PROXY'], os.environ['no_proxy'])"
    status, output = run(tmp_path, script)
    assert status == 0
    assert output.text() == "http://127.0.0.1:9 http://127.0.0.1:9 localhost,127.0.0.1\n"
    assert "user namespaces are not allowed" in capsys.readouterr().err


def test_pip_settings_pass_only_with_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installer that may reach an index needs to know which."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.invalid/simple")
    script = "import os; print(os.environ.get('PIP_INDEX_URL'))"
    assert run(tmp_path, script, network=True)[1].text() == "http://mirror.invalid/simple\n"
    assert run(tmp_path, script, network=False)[1].text() == "None\n"


def test_every_run_starts_on_a_fresh_machine(tmp_path: Path) -> None:
    """What an earlier run left in working is gone, and the folder can be deleted by its owner."""
    script = "import os; p = os.path.join(os.environ['W'], 'x'); print(os.path.exists(p)); open(p, 'w')"
    for _ in range(2):
        status, output = run(tmp_path / "root", script, child_env={"W": "{working}"})
        assert (status, output.text()) == (0, "False\n")
    assert os.access(tmp_path / "root/kaggle/src", os.W_OK)
    shutil.rmtree(tmp_path / "root")


def test_another_interpreter_can_be_chosen(tmp_path: Path) -> None:
    """The script runs in that Python, found through a link as in a virtual environment."""
    other = tmp_path / "python-link"
    other.symlink_to(Path(sys.executable).resolve())
    status, output = run(tmp_path / "root", "import sys; print(sys.executable)", python=other)
    assert (status, output.text()) == (0, f"{other}\n")


def test_the_file_systems_root_is_no_sandbox() -> None:
    """On a real Kaggle machine that would delete /kaggle."""
    with pytest.raises(ValueError, match="folder of its own"):
        run(Path("/"), "")
