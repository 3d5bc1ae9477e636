"""Answer the test rows with what any model must beat: character n-grams, and the majority label."""

from kit.command import options, run


def main() -> int:
    arguments = options(__doc__, "preset", "set").parse_args()

    from kit import config
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import baselines, made
    from kit.review.checks.validate import lines, validate

    resolved = config.resolve(arguments.preset, arguments.set)
    data = inputs.competition_folder(resolved)
    for name in (baselines.MAJORITY, baselines.NGRAMS):
        folder = made.write(baselines.make(resolved, data, name), runs.RUNS)
        verdict = validate(folder, inputs.places, resolved.competition)
        print("\n".join(lines(verdict)), flush=True)
        if not verdict.valid:
            return 1
    print(f"next: make report RUN={folder.name}, or make submit RUN={folder.name}")
    return 0


if __name__ == "__main__":
    run(main)
