"""Start and stop the local Kaggle on 127.0.0.1, and keep what a test asks about its requests.

It accepts requests in absolute form, so that it can stand behind HTTP_PROXY, but forwards nothing. It never
listens elsewhere.
"""

import sys
import threading
import time
import traceback
from http.server import ThreadingHTTPServer
from pathlib import Path

from local_kaggle.faults import Faults
from local_kaggle.handler import Handler
from local_kaggle.profile import Settings
from local_kaggle.sessions import Sessions
from local_kaggle.state import State


class Server(ThreadingHTTPServer):
    """A running local Kaggle; `close` it, or use it as a context manager."""

    def __init__(self, state: State, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state = state
        self.sessions = Sessions(state)
        self.faults = Faults()
        self.requests: list[str] = []
        """The routes of all requests, in order of arrival."""
        self.unknown_requests: list[str] = []
        self.crashes: list[str] = []
        """Tracebacks of requests that this server failed to answer."""
        self._calls: list[float] = []
        self._throttled_until = 0.0
        self._counting = threading.Lock()
        state.base_url = self.url
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="local_kaggle")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def is_throttled(self) -> bool:
        """Count an API call and tell whether too many came quickly, as the profile has it."""
        profile, now = self.state.settings.profile, time.monotonic()
        with self._counting:
            self._calls = [moment for moment in self._calls if now - moment < profile.quick_seconds] + [now]
            if len(self._calls) > profile.quick_calls:
                self._throttled_until = now + profile.throttle_seconds
            return now < self._throttled_until

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and kill every session that still runs."""
        with self.state.changed:
            self.state.closing = True
            self.state.changed.notify_all()
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.sessions.close()

    def handle_error(self, *_: object) -> None:
        """Keep the traceback where a test finds it and a person sees it; a client that left is no crash."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            self.crashes.append(traceback.format_exc())
            print(self.crashes[-1], file=sys.stderr)


def start(root: Path, settings: Settings | None = None, *, port: int = 0) -> Server:
    """Start a local Kaggle that keeps its records below `root`; port 0 takes a free one."""
    return Server(State(root, settings or Settings()), port)
