"""Run one script the way Kaggle runs a script kernel: renamed, alone, without arguments.

The script sees `kaggle/{src,input,working}` below a root folder, a cut environment, no stdin and, unless it
is allowed, no network; jail.py hides the rest of this machine where namespaces allow it. It is a rehearsal
stage for one's own code, not a prison for a stranger's. Kernel versions, queues and quotas are the server's
business.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local_kaggle import jail
from local_kaggle.following import MARKER, OutputCallback, follow

Layout = Literal["2026", "old", "mixed"]

_NOT_ISOLATED = (
    "local_kaggle: user namespaces are not allowed here: the script can read and write what you can, its"
    " inputs are links, its network is only discouraged by dead proxies, a child may outlive a killed server"
)
_CREDENTIALS = frozenset({"KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN"})
_THREAD_SETTINGS = ("OMP_", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NETWORK_SETTINGS = ("PIP_", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Port 9 is "discard": nothing listens there, so a request fails at once instead of hanging.
_DEAD_PROXIES = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all")}
_DEAD_PROXIES |= {"no_proxy": "localhost,127.0.0.1"}
_DEAD_PROXIES |= {name.upper(): value for name, value in _DEAD_PROXIES.items()}


@dataclass(frozen=True)
class Mount:
    """One input of a kernel: what it is, its handle on Kaggle, and the folder that stands for it here."""

    kind: str
    """competitions, datasets, models or notebooks."""
    handle: str
    """By kind: `slug`, `owner/slug`, `owner/model/framework/variation/version`, `owner/slug`."""
    folder: Path

    def paths(self, layout: Layout) -> list[Path]:
        """Give the mount points relative to the input folder; mixed shows both ways, datasets twice."""
        new = Path(self.kind, self.handle)
        # The old layout names neither the kind nor the owner.
        old = Path(self.handle if self.kind == "competitions" else self.handle.partition("/")[2])
        if layout == "mixed":
            return {"datasets": [new, old], "notebooks": [old]}.get(self.kind, [new])
        return [new if layout == "2026" else old]


def run(
    script: str,
    root: Path,
    mounts: Sequence[Mount],
    *,
    layout: Layout = "2026",
    starts_in: Literal["src", "working"] = "src",
    child_env: Mapping[str, str],
    network: bool = False,
    python: Path | None = None,
    visible: Sequence[Path] = (),
    timeout_seconds: float,
    on_output: OutputCallback,
    stop: threading.Event | None = None,
) -> int:
    """Run `script` to its end below `root` and return its exit status, negative for a signal, or TIMED_OUT.

    `root/kaggle` is made anew. In the values of `child_env`, `{input}` and `{working}` stand for its folders.
    `python` is the interpreter to use, by default this one; `visible` is what the script may read besides its
    own. Output arrives in the calling thread. Setting `stop`, a time-out or an exception here (Ctrl-C) ends
    every process of the script: SIGTERM first, SIGKILL five seconds later. Raises FileNotFoundError for a
    missing mount folder, and ValueError for credentials in `child_env` or a `root` inside a mount folder.
    """
    root = root.resolve()
    isolated = namespaces_allowed()
    # absolute(), not resolve(): the link of a virtual environment is what makes it one.
    interpreter = (python or Path(sys.executable)).absolute()
    environment = _environment(root, interpreter, network) | _filled(child_env, root / "kaggle")
    if not isolated:
        print(_NOT_ISOLATED, file=sys.stderr)
        environment |= {} if network else _DEAD_PROXIES
    places = _lay_out(root, mounts, layout, links=not isolated)
    program, marker = _write(script, root / "kaggle"), uuid.uuid4().hex
    try:
        # Not below root: a Unix socket's path holds 107 bytes, and torch adds two names of its own.
        with tempfile.TemporaryDirectory(prefix="kaggle-", ignore_cleanup_errors=True) as temporary:
            plan = jail.Plan(
                caller=os.getpid(),
                isolate=isolated,
                network=network,
                command=[str(interpreter), *program],
                folder=str(root / "kaggle" / starts_in),
                root=str(root),
                # An image's packages may be upgraded by the script, as on Kaggle; this project's may not.
                writable=[temporary, *([str(interpreter.parents[1])] if python else [])],
                mounts=places,
                visible=_visible(interpreter, environment, visible),
            )
            variables = {"TMPDIR": temporary} | environment | {MARKER: marker}
            with _start(plan, variables) as process:
                return follow(process, marker, timeout_seconds, on_output, stop or threading.Event())
    finally:
        (root / "kaggle" / "src").chmod(0o755)


def _write(script: str, machine: Path) -> list[str]:
    """Write the script, or the notebook where it is JSON, and return the arguments that run it."""
    is_notebook = script.lstrip().startswith("{")
    program = machine / "src" / ("notebook.ipynb" if is_notebook else "script.py")
    program.write_text(script, encoding="utf-8", newline="")
    program.chmod(0o444)
    program.parent.chmod(0o555)
    if not is_notebook:
        return [str(program)]
    # As text: the interpreter cannot see notebook.py itself.
    runner = Path(__file__).with_name("notebook.py").read_text(encoding="utf-8")
    return ["-c", runner, str(program), str(machine / "working")]


def _start(plan: jail.Plan, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", jail.__file__, json.dumps(plan)],
        cwd=plan.folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _lay_out(root: Path, mounts: Sequence[Mount], layout: Layout, *, links: bool) -> list[tuple[str, str]]:
    """Make the folders of a fresh Kaggle machine and pair each mount's folder with where it is shown."""
    if root.parent == root:
        raise ValueError(f"the sandbox needs a folder of its own, not {str(root)!r}")
    for mount in mounts:
        if not mount.folder.is_dir():
            raise FileNotFoundError(f"no folder {str(mount.folder)!r} for {mount.kind} {mount.handle!r}")
        if root.is_relative_to(mount.folder.resolve()):
            raise ValueError(f"the sandbox {str(root)!r} lies inside the folder of {mount.handle!r}")
    machine = root / "kaggle"
    if (machine / "src").exists():
        (machine / "src").chmod(0o755)
    if machine.exists():
        shutil.rmtree(machine)
    for name in ("kaggle/src", "kaggle/input", "kaggle/working", "home", "view"):
        (root / name).mkdir(parents=True, exist_ok=True)
    places = [
        (mount.folder.resolve(), machine / "input" / path) for mount in mounts for path in mount.paths(layout)
    ]
    for folder, place in places:
        place.mkdir(parents=True, exist_ok=True)
        if links:
            _mirror(folder, place)
    return [(str(folder), str(place)) for folder, place in places]


def _mirror(folder: Path, target: Path) -> None:
    """Show `folder` at `target` as real folders holding links: scripts walk past linked folders."""
    for parent, _, names in os.walk(folder, followlinks=True):
        mirrored = target / Path(parent).relative_to(folder)
        mirrored.mkdir(parents=True, exist_ok=True)
        for name in names:
            (mirrored / name).symlink_to(Path(parent, name))


def _environment(root: Path, interpreter: Path, network: bool) -> dict[str, str]:
    """Give the variables a Kaggle kernel would find, none of the caller's secrets among them."""
    passed_on = _THREAD_SETTINGS + (_NETWORK_SETTINGS if network else ())
    environment = {name: value for name, value in os.environ.items() if name.upper().startswith(passed_on)}
    user_settings = Path.home() / ".config" / "pip" / "pip.conf"
    if network and user_settings.is_file():
        environment.setdefault("PIP_CONFIG_FILE", str(user_settings))
    return environment | {
        "PATH": os.pathsep.join([str(interpreter.parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(root / "home"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
    }


def _filled(child_env: Mapping[str, str], machine: Path) -> dict[str, str]:
    refused = _CREDENTIALS & child_env.keys()
    if refused:
        raise ValueError(f"credentials never enter the sandbox: {sorted(refused)!r}")
    return {
        name: value.replace("{input}", f"{machine}/input").replace("{working}", f"{machine}/working")
        for name, value in child_env.items()
    }


@functools.cache
def namespaces_allowed() -> bool:
    """Tell whether this user may make the namespaces that a script is put into, by putting one there."""
    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        for name in ("view", "kaggle/src", "kaggle/input"):
            Path(folder, name).mkdir(parents=True)
        plan = jail.Plan(
            os.getpid(), True, False, ["true"], folder, folder, writable=[], mounts=[], visible=[]
        )
        with _start(plan, os.environ) as probe:
            probe.communicate(timeout=30)
    return probe.returncode == 0


def _visible(interpreter: Path, environment: Mapping[str, str], more: Sequence[Path]) -> list[str]:
    """List what a script may read besides its own tree: its Python, the files that its variables name."""
    prefixes = [sys.prefix, sys.base_prefix]
    if interpreter != Path(sys.executable).absolute():
        ask = [str(interpreter), "-I", "-c", "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=30, check=False)
        prefixes = answer.stdout.splitlines()
    passed_on = [value for name, value in environment.items() if name.startswith(_NETWORK_SETTINGS)]
    named = [path for path in (*passed_on, *map(str, more)) if os.path.isabs(path)]  # noqa: PTH117
    return [*prefixes, *named]
