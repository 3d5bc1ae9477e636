"""Tell whoever watches the log what is happening, one JSON object a line.

It only prints; reading the lines back is the watcher's part.
"""

from __future__ import annotations

import json
import time

_started = time.monotonic()


def emit(event: str, **facts: object) -> None:
    """Print one line that begins `{"event":`, with the seconds since this process began."""
    seconds = round(time.monotonic() - _started, 2)
    print(json.dumps({"event": event, "seconds": seconds, **facts}, ensure_ascii=False), flush=True)
