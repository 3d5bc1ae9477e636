"""Run each version's script in a sandbox: queued, logged and stoppable.

What a session leaves behind is a log, the files of its working folder and a status; the emulated machine
itself is thrown away.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from local_kaggle import following, pushing, sandbox
from local_kaggle.sandbox import Mount
from local_kaggle.state import IMAGE, Chunk, Kernel, Push, Refused, State, Version

RUNNER_LINES = r"""/usr/local/lib/python3.12/site-packages/mistune.py:435: SyntaxWarning: invalid escape sequence '\|'
  cells[i][c] = re.sub('\\\\\|', '|', cell)
/usr/local/lib/python3.12/site-packages/nbconvert/filters/filter_links.py:36: SyntaxWarning: invalid escape sequence '\_'
  text = re.sub(r'_', '\_', text) # Escape underscores in display text
[NbConvertApp] Converting notebook __script__.ipynb to html
[NbConvertApp] Writing 291654 bytes to __results__.html
"""  # noqa: E501 - as they come
_PAGES = ("__script__.py", "__script__.ipynb", "__results__.html", "__output__.json", "custom.css")
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
        self._filing = threading.Lock()
        """Held while kernels come and go, for deleting one takes as long as its script takes to end."""
        self._slots = threading.Semaphore(state.settings.parallel_sessions)
        self._stops: dict[int, threading.Event] = {}
        self._threads: dict[int, threading.Thread] = {}

    def push(self, push: Push, text: str) -> tuple[Kernel, Version, dict[str, list[str]]]:
        """Save a version, queue its session, and list the sources that were dropped in silence, by kind."""
        state = self._state
        with self._filing, state.changed:
            kernel = pushing.filed(state, push, text)
            for earlier in kernel.versions if state.settings.profile.replaces_earlier_session else ():
                self.cancel(earlier.session_id)
            number = kernel.versions[-1].number + 1 if kernel.versions else 1
            version = Version(kernel.owner, kernel.slug, number, state.next_id(), push, time.time())
            mounts, invalid = pushing.mounts(state, push, state.competition_folder)
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
        with self._filing:
            if kernel not in self._state.kernels:
                return
            for version in (version for version in kernel.versions if not version.is_terminal):
                self.cancel(version.session_id)
                self._threads[version.session_id].join()
            self._state.kernels.remove(kernel)
            shutil.rmtree(self._state.root / "kernels" / kernel.owner / kernel.slug, ignore_errors=True)
            self._state.save()

    def close(self) -> None:
        """Stop every session and rerun and wait until their processes are gone."""
        for stop in self._stops.values():
            stop.set()
        for thread in self._threads.values():
            thread.join()

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
        while not (has_slot := self._slots.acquire(timeout=0.05)) and not stop.is_set():
            pass
        try:
            with state.changed:
                if not stop.is_set():
                    version.status, version.started = "RUNNING", time.time()
                    state.save()
            if version.started:
                longest = state.settings.time_limit_seconds
                limit = min(version.push.session_timeout_seconds or longest, longest)
                exit_status = self.execute(version.session_id, version, state.folder(version), mounts, limit)
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
        limit_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Run a version on a machine below `folder`, keep its log under `number`, give its exit status."""
        state, settings, profile = self._state, self._state.settings, self._state.settings.profile
        python = settings.python
        image = version.push.docker_image or IMAGE
        child_env = {**settings.child_env, **environment, "KAGGLE_DOCKER_IMAGE": image}
        if profile.names_container:
            child_env["KAGGLE_CONTAINER_NAME"] = f"kaggle_{secrets.token_hex(8)}-{number}-webtier"
        if settings.wheels is not None:
            # An environment of its own that holds nothing but pip.
            empty = folder / "machine" / "environment"
            make = [str(python or sys.executable), "-m", "venv", str(empty)]
            subprocess.run(make, check=True, timeout=300)
            python = empty / "bin" / "python"
            child_env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(settings.wheels.resolve())}

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
            layout=profile.layout,
            starts_in=profile.starts_in,
            child_env=child_env,
            network=settings.network and version.push.enable_internet,
            python=python,
            visible=settings.visible,
            timeout_seconds=limit_seconds,
            on_output=keep,
            stop=self._stops[number],
        )
        if profile.runner_lines:
            keep("stderr", time.monotonic() - started, RUNNER_LINES)
        return exit_status

    def _end(self, version: Version, exit_status: int | None) -> None:
        """Keep what the session left and record how it ended."""
        state, folder = self._state, self._state.folder(version)
        if (working := folder / "machine" / "kaggle" / "working").is_dir():
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


def _attach(folder: Path) -> None:
    """Show the outputs as an attached kernel's: with the files of its web page, and taking no room."""
    output, attached = folder / "output", folder / "attached"

    def replaced(parent: str, _: list[str]) -> Sequence[str]:
        return _PAGES if Path(parent) == output else ()

    shutil.copytree(output, attached, ignore=replaced, copy_function=os.link, symlinks=True)
    for name in _PAGES:
        text = "{}" if name.endswith(("json", "ipynb")) else ""
        (attached / name).write_text(text, encoding="utf-8")
