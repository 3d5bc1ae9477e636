"""List the runs of the ledger, the best first by held-out log loss, with the difference to the best."""

from __future__ import annotations

import sys

from kit.command import options, run


def main() -> int:
    options(__doc__).parse_args()

    from kit.review import ledger

    found = ledger.read()
    for line in found.broken:
        print(f"warning: {line}", file=sys.stderr)
    if found.entries:
        ledger.show(found.entries)
    else:
        print("no run has finished yet (try: make dry-run)")
    return 0


if __name__ == "__main__":
    run(main)
