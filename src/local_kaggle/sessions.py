"""Take a push as Kaggle does and run each version's script in a sandbox, queued, logged and stoppable.

A refused push makes no version. What a session leaves behind is a log, the files of its working folder and a
status; the emulated machine itself is thrown away.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from local_kaggle import following, sandbox
from local_kaggle.sandbox import Mount
from local_kaggle.state import Chunk, Kernel, Push, Refused, State, Version

SOURCE_LIMIT_BYTES = 1 << 20
GPU_SESSION_LIMIT = 2
CPU_SESSION_LIMIT = 5

RUNNER_LINES = r"""/usr/local/lib/python3.12/site-packages/mistune.py:435: SyntaxWarning: invalid escape sequence '\|'
  cells[i][c] = re.sub('\\\\\|', '|', cell)
/usr/local/lib/python3.12/site-packages/nbconvert/filters/filter_links.py:36: SyntaxWarning: invalid escape sequence '\_'
  text = re.sub(r'_', '\_', text) # Escape underscores in display text
[NbConvertApp] Converting notebook __script__.ipynb to html
[NbConvertApp] Writing 291654 bytes to __results__.html
"""  # noqa: E501 - as they come
_PAGES = ("__script__.py", "__script__.ipynb", "__results__.html", "__output__.json", "custom.css")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_TIMED_OUT = "Your notebook was stopped because it exceeded the max allowed execution duration."
_NOT_RUN = "The local Kaggle could not run the script; its own output says why."
_ENDS = {
    0: ("COMPLETE", ""),
    None: ("ERROR", _NOT_RUN),
    following.TIMED_OUT: ("CANCEL_ACKNOWLEDGED", _TIMED_OUT),
}
"""Status and message by the exit status; None where the script was never run to an end."""


class Sessions:
    """The machines of the local Kaggle. Sessions run in threads until `close`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._slots = threading.Semaphore(state.settings.parallel_sessions)
        self._stops: dict[int, threading.Event] = {}
        self._threads: dict[int, threading.Thread] = {}

    def push(self, push: Push, text: str) -> tuple[Kernel, Version, dict[str, list[str]]]:
        """Save a version, queue its session, and list the sources that were dropped in silence, by kind.

        Raises Refused, with the status 200 where Kaggle answers with a successful error.
        """
        state, profile = self._state, self._state.settings.profile
        _check(push, text, state.settings.user)
        with state.changed:
            slug = slug_of(push.title) if push.title else push.slug
            known = next((k for k in state.kernels if k.id == push.id), None)
            kernel = known or state.kernel(push.owner, slug)
            if kernel and not kernel.versions:
                raise Refused(200, "Notebook not found")
            objection = self._objection(push)
            if kernel and any(v.push.kernel_type != push.kernel_type for v in kernel.versions):
                raise Refused(200, "The kernel type of an existing kernel cannot be changed.")
            if objection and not profile.refusal_leaves_shell:
                raise Refused(200, objection)
            if kernel is None:
                kernel = Kernel(state.next_id(), push.owner, slug, slug)
                state.kernels.append(kernel)
                state.save()
            if objection:
                raise Refused(200, objection)
            for earlier in kernel.versions if profile.replaces_earlier_session else ():
                self.cancel(earlier.session_id)
            kernel.title = push.title or kernel.title
            number = kernel.versions[-1].number + 1 if kernel.versions else 1
            version = Version(kernel.owner, kernel.slug, number, state.next_id(), push, time.time())
            mounts, invalid = self.mounts(push, state.competition_folder)
            state.folder(version).mkdir(parents=True)
            (state.folder(version) / "source.py").write_bytes(text.encode())
            kernel.versions.append(version)
            self.start(version.session_id, lambda: self._run(version, mounts))
            state.save()
        return kernel, version, invalid

    def cancel(self, session_id: int) -> None:
        """Ask one session to stop; raises Refused for an unknown one."""
        with self._state.changed:
            version = next((v for v in self._state.versions() if v.session_id == session_id), None)
            if version is None:
                raise Refused(404, f"Kernel session {session_id} was not found")
            if not version.is_terminal:
                version.status = "CANCEL_REQUESTED"
                self._stops[session_id].set()
                self._state.save()

    def delete(self, kernel: Kernel) -> None:
        """Stop every session of the kernel and forget it with all its outputs."""
        running = [version.session_id for version in kernel.versions if not version.is_terminal]
        for session_id in running:
            self.cancel(session_id)
        for session_id in running:
            self._threads[session_id].join()
        with self._state.changed:
            self._state.kernels.remove(kernel)
            shutil.rmtree(self._state.root / "kernels" / kernel.owner / kernel.slug, ignore_errors=True)
            self._state.save()

    def close(self) -> None:
        """Stop every session and rerun and wait until their processes are gone."""
        for stop in self._stops.values():
            stop.set()
        for thread in self._threads.values():
            thread.join()

    def _objection(self, push: Push) -> str:
        """Say why a push is refused in the body of a successful answer, or nothing."""
        kind, limit = ("GPU", GPU_SESSION_LIMIT) if push.uses_gpu else ("CPU", CPU_SESSION_LIMIT)
        alike = [v for v in self._state.versions() if v.push.uses_gpu == push.uses_gpu and not v.is_terminal]
        quota = self._state.settings.gpu_quota_seconds
        if push.title and (len(push.title) < 5 or not _SLUG.fullmatch(slug_of(push.title))):
            return "Title must be at least five characters."
        if push.language != "python" or push.kernel_type not in ("script", "notebook"):
            return f"The local Kaggle runs no {push.language} {push.kernel_type}."
        if len(alike) >= limit:
            return f"Maximum batch {kind} session count of {limit} reached."
        if push.uses_gpu and self._state.gpu_seconds_used() >= quota:
            return f"Maximum weekly GPU quota of {quota / 3600:.2f} hours reached."
        return ""

    def mounts(self, push: Push, competition: Path) -> tuple[list[Mount], dict[str, list[str]]]:
        """Find the folder behind each source; those that do not exist are listed by their kind instead."""
        mounts: list[Mount] = []
        invalid: dict[str, list[str]] = {}
        for kind in ("competition", "dataset", "kernel", "model"):
            invalid[kind] = []
            for handle in getattr(push, f"{kind}_data_sources"):
                mount = self._mount(kind, handle, competition)
                if mount:
                    mounts.append(mount)
                else:
                    invalid[kind].append(handle)
        return mounts, invalid

    def _mount(self, kind: str, handle: str, competition: Path) -> Mount | None:
        settings = self._state.settings
        if kind == "competition":
            known = handle == settings.slug and settings.joined
            return Mount("competitions", handle, competition) if known else None
        if kind == "kernel":
            owner, _, slug = handle.partition("/")
            kernel = self._state.kernel(owner, slug)
            complete = [v for v in kernel.versions if v.status == "COMPLETE"] if kernel else []
            if not complete:
                return None
            output, attached = (self._state.folder(complete[-1]) / name for name in ("output", "attached"))
            return Mount("notebooks", handle, attached if attached.exists() else output)
        if kind == "dataset":
            folder = dataset_folder(self._state, handle)
            return Mount("datasets", handle, folder) if folder else None
        versions = below(settings.models, handle, parts=4)
        if versions:
            newest = max((int(path.name) for path in versions.iterdir() if path.name.isdecimal()), default="")
            handle = f"{handle}/{newest}"
        folder = below(settings.models, handle, parts=5)
        return Mount("models", handle, folder) if folder else None

    def start(self, number: int, work: Callable[[], None]) -> None:
        """Work in a thread of this number until it ends or `close` comes."""
        self._stops[number] = threading.Event()
        self._state.live_logs[number] = []
        self._threads[number] = threading.Thread(target=work, name=f"session {number}")
        self._threads[number].start()

    def _run(self, version: Version, mounts: Sequence[Mount]) -> None:
        """Wait for a slot, run the script, keep what it left."""
        state, stop = self._state, self._stops[version.session_id]
        exit_status: int | None = None
        has_slot = False
        while not has_slot and not stop.is_set():
            has_slot = self._slots.acquire(timeout=0.05)
        try:
            with state.changed:
                if not stop.is_set():
                    version.status, version.started = "RUNNING", time.time()
                    state.save()
            if not stop.is_set():
                longest = state.settings.time_limit_seconds
                limit = min(version.push.session_timeout_seconds or longest, longest)
                exit_status = self.execute(
                    version.session_id, version, state.folder(version), mounts, limit_seconds=limit
                )
                stop.wait(state.settings.profile.trailing_seconds)
        finally:
            if has_slot:
                self._slots.release()
            self._end(version, exit_status)

    def execute(
        self,
        number: int,
        version: Version,
        folder: Path,
        mounts: Sequence[Mount],
        *,
        limit_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Run a version on a machine below `folder`, keep its log under `number`, give its exit status."""
        state, settings = self._state, self._state.settings
        python, child_env = settings.python, {**settings.child_env, **environment}
        child_env["KAGGLE_DOCKER_IMAGE"] = version.push.image
        if settings.profile.names_container:
            child_env["KAGGLE_CONTAINER_NAME"] = f"kaggle_{secrets.token_hex(8)}-{number}-webtier"
        visible = list(settings.visible)
        if settings.wheels is not None:
            # An environment of its own that holds nothing but pip.
            empty = folder / "machine" / "environment"
            make = [str(python or sys.executable), "-m", "venv", str(empty)]
            subprocess.run(make, check=True, timeout=300)
            python = empty / "bin" / "python"
            child_env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(settings.wheels.resolve())}
            visible.append(settings.wheels)

        def keep(stream_name: str, seconds: float, text: str) -> None:
            with state.changed:
                chunk = Chunk(stream_name=stream_name, time=round(seconds, 6), data=text)
                state.live_logs[number].append(chunk)
                state.changed.notify_all()

        started = time.monotonic()
        exit_status = sandbox.run(
            state.source(version),
            folder / "machine",
            mounts,
            layout=settings.profile.layout,
            starts_in=settings.profile.starts_in,
            child_env=child_env,
            network=settings.network and version.push.enable_internet,
            python=python,
            visible=visible,
            timeout_seconds=limit_seconds,
            on_output=keep,
            stop=self._stops[number],
        )
        if settings.profile.runner_lines:
            keep("stderr", time.monotonic() - started, RUNNER_LINES)
        return exit_status

    def _end(self, version: Version, exit_status: int | None) -> None:
        """Keep what the session left and record how it ended."""
        state = self._state
        folder = state.folder(version)
        working = folder / "machine" / "kaggle" / "working"
        if working.is_dir():
            working.rename(folder / "output")
            if state.settings.profile.attaches_pages:
                _attach(folder)
        shutil.rmtree(folder / "machine", ignore_errors=True)
        with state.changed:
            log = state.live_logs.pop(version.session_id)
            (folder / "log.json").write_text(json.dumps(log), encoding="utf-8")
            version.ended = time.time()
            failed = ("ERROR", f"Your notebook failed with exit status {exit_status}.")
            version.status, version.failure = _ENDS.get(exit_status, failed)
            if self._stops[version.session_id].is_set():
                version.status, version.failure = "CANCEL_ACKNOWLEDGED", ""
            state.save()


def slug_of(title: str) -> str:
    """Make the slug that Kaggle files a title under."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def below(root: Path | None, handle: str, parts: int) -> Path | None:
    """Give the folder of a handle below `root`, if it exists and the handle cannot climb out."""
    names = handle.split("/")
    if root is None or len(names) != parts or not all(re.fullmatch(r"\w[\w.-]*", name) for name in names):
        return None
    folder = root.joinpath(*names)
    return folder if folder.is_dir() else None


def dataset_folder(state: State, handle: str) -> Path | None:
    """Give the folder of a dataset that this Kaggle was started with, or that was uploaded since."""
    return below(state.settings.datasets, handle, parts=2) or below(state.root / "datasets", handle, parts=2)


def _check(push: Push, text: str, user: str) -> None:
    """Refuse what is too large, another's, could lead out of a folder or never end; raises Refused."""
    handles = [*push.competition_data_sources, *push.dataset_data_sources]
    handles += [*push.kernel_data_sources, *push.model_data_sources]
    if len(text.encode()) > SOURCE_LIMIT_BYTES:
        raise Refused(400, "")
    if push.owner != user:
        raise Refused(403, "Permission 'kernels.update' was denied")
    if not push.title and not _SLUG.fullmatch(push.slug):
        raise Refused(400, f"Invalid slug {push.slug!r}.")
    if push.kernel_type == "notebook" and not _is_notebook(text):
        raise Refused(400, "")
    if any(part in ("", ".", "..") for handle in handles for part in handle.split("/")):
        raise Refused(400, "Invalid data source.")
    if push.session_timeout_seconds < 0:
        raise Refused(400, f"Invalid session timeout {push.session_timeout_seconds}.")


def _is_notebook(text: str) -> bool:
    """Tell whether Kaggle takes it: JSON with a kernel's name, and every source one string."""
    try:
        made = json.loads(text)
        named = made["metadata"]["kernelspec"]["name"] and made["metadata"]["kernelspec"]["language"]
        return bool(named) and all(isinstance(cell["source"], str) for cell in made["cells"])
    except (ValueError, KeyError, TypeError):
        return False


def _attach(folder: Path) -> None:
    """Show the outputs as an attached kernel's: with the files of its web page, and taking no room."""
    shutil.copytree(folder / "output", folder / "attached", copy_function=os.link, symlinks=True)
    for name in _PAGES:
        path = folder / "attached" / name
        path.unlink(missing_ok=True)
        path.write_text("{}" if name.endswith(("json", "ipynb")) else "", encoding="utf-8")
