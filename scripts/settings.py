"""List every setting of a preset with its value, type and meaning."""

from operator import attrgetter

from kit.command import Arguments, verb


@verb("preset", "set")
def main(arguments: Arguments) -> None:
    from rich.console import Console
    from rich.table import Table

    from kit import config

    resolved = config.resolve(arguments.preset, arguments.set)
    table = Table("setting", "value", "meaning", title=f"preset {arguments.preset}", title_justify="left")
    for name, meaning in config.schema_names().items():
        table.add_row(name, repr(attrgetter(name)(resolved)), " ".join(meaning.split()))
    Console(width=None).print(table)
