"""Draw a run on one page, report.html in its folder: figures, charts and the rows to read."""

from kit.command import Arguments, verb


@verb("run", "data")
def main(arguments: Arguments) -> None:
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review.report import page

    places = (lambda _: [arguments.data]) if arguments.data else inputs.places
    print(page.write(runs.folder_of(arguments.run), places))
