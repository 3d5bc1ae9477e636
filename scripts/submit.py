"""Submit a run's submission.csv if it is valid, and wait for its score."""

import sys

from kit.command import Arguments, tell, verb


@verb("run", "message", "timeout", "yes", spends="one of the day's submissions")
def main(arguments: Arguments) -> int:
    from kit import config
    from kit.fetch import inputs
    from kit.remote import runs, submit, workflow
    from kit.review.checks.validate import validate

    kaggle, found = workflow.reach(arguments.run, or_made=True)
    verdict = validate(found.folder, inputs.places, config.resolve("t4x2").competition)
    print(verdict, flush=True)
    tell(run=found.name, valid=verdict.valid)
    if not verdict.valid:
        print(f"error: nothing was submitted (try: make validate RUN={found.name})", file=sys.stderr)
        return 1
    with runs.alone(found.folder.with_name(f"{found.folder.name}.submit")):
        submitted = submit.submit(kaggle, found, arguments.message, deadline_seconds=arguments.timeout)
    tell(ref=submitted.ref, score=submitted.public_score, earlier=submitted.earlier)
    print(f"{found.name} {submitted.words}")
    return 0
