"""List the runs below runs/, one table a competition, the best first by its own metric."""

import sys

from kit.command import Arguments, tell, verb


@verb(own={"--rehearsals": {"action": "store_true", "help": "list the runs of rehearsals too"}})
def main(arguments: Arguments) -> None:
    from kit import environment
    from kit.remote import runs
    from kit.review import listing

    rehearsals = arguments.rehearsals or environment.kaggle_endpoint() is not None
    lines, broken = listing.scan(runs.RUNS, rehearsals=rehearsals)
    tell(runs=list(map(vars, lines)), broken=broken)
    listing.show(lines)
    for line in broken:
        print(f"warning: {line}", file=sys.stderr)
    if not lines and not broken:
        print("no run yet, rehearsals left out (try: make dry-run, or scripts/runs.py --rehearsals)")
