"""Run a script's main function as a shell expects: one line for the user's errors, a status for all.

It does not parse arguments; each script does that itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from kit.errors import KitError


def run(main: Callable[[], int | None]) -> NoReturn:
    """Call `main` and exit with its status; a KitError becomes one line on stderr and status 1."""
    try:
        status = main() or 0
    except KitError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
