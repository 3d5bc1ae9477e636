"""Draw a run on one page, report.html in its folder: figures, charts and the rows to read."""

from kit.command import Arguments, verb


@verb("run", "data")
def main(arguments: Arguments) -> None:
    from kit.config import PROJECT_ROOT
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import results
    from kit.review.report import page

    folder = runs.folder_of(arguments.run)
    slug = results.read(folder, whole=False).competition.slug
    places = [PROJECT_ROOT / "data" / slug, inputs.SAMPLE, inputs.CORPUS]
    print(page.write(folder, [arguments.data] if arguments.data else places))
