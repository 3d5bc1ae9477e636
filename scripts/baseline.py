"""Answer the test rows with what any model must beat: character n-grams, and the majority label."""

from kit.command import Arguments, alone, verb


@verb("preset", "set")
def main(arguments: Arguments) -> int:
    from dataclasses import replace

    from kit import config, environment
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import baselines, made
    from kit.review.checks.validate import validate

    resolved = config.resolve(arguments.preset, arguments.set)
    data = inputs.competition_folder(resolved)
    endpoint = environment.kaggle_endpoint() or ""
    for name in (baselines.MAJORITY, baselines.NGRAMS):
        answers = replace(baselines.make(resolved, data, name), url=endpoint)
        with alone("baseline"):
            folder = made.write(answers, runs.home(is_local=bool(endpoint)))
        verdict = validate(folder, inputs.places, resolved.competition)
        print(verdict, flush=True)
        if not verdict.valid:
            return 1
    run_name = runs.load(folder).name
    print(f"next: make report RUN={run_name}, or make submit RUN={run_name}")
    return 0
