"""Average the predictions of runs into one submission, score it on shared held-out rows, validate it."""

from kit.command import Arguments, alone, verb


@verb("runs", "weights")
def main(arguments: Arguments) -> int:
    from kit.errors import KitError
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import blend, made, results
    from kit.review.checks.validate import validate

    if (count := len(arguments.runs)) < 2:
        raise KitError(f"a blend needs two runs, {count} are named", hint='make blend RUNS="v1 v2"')
    weights = blend.normalised(arguments.weights, count)
    blended_runs = [results.read(runs.folder_of(name)) for name in arguments.runs]
    blended = blend.blend(blended_runs, weights)
    with alone("blend"):
        folder = made.write(blended, runs.home(is_local=blended.url.startswith("http://")))
    blend.show(blended, blended_runs, weights)
    verdict = validate(folder, inputs.places, blended.competition)
    print(verdict, flush=True)
    if verdict.valid:
        print(f"next: make submit RUN={runs.load(folder).name}")
    return 0 if verdict.valid else 1
