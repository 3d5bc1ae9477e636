"""Draw a run on one page, report.html in its folder: figures, charts and the rows to read."""

from pathlib import Path

from kit.command import options, run


def main() -> int:
    parser = options(__doc__, "run")
    parser.add_argument(
        "--data", type=Path, help="folder with train.csv and test.csv, instead of the usual one"
    )
    arguments = parser.parse_args()

    from kit.config import PROJECT_ROOT
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import results
    from kit.review.report import page

    folder = runs.folder_of(arguments.run)
    slug = results.read(folder, whole=False).competition.slug
    places = [PROJECT_ROOT / "data" / slug, inputs.SAMPLE, inputs.CORPUS]
    print(page.write(folder, [arguments.data] if arguments.data else places))
    return 0


if __name__ == "__main__":
    run(main)
