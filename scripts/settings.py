"""List every setting of a preset with its value, type and meaning."""

from kit.command import Arguments, verb


@verb("preset", "set")
def main(arguments: Arguments) -> None:
    from rich.console import Console
    from rich.table import Table

    from kit import config

    resolved = config.resolve(arguments.preset, arguments.set)
    table = Table("setting", "value", "meaning", title=f"preset {arguments.preset}", title_justify="left")
    for name, meaning in config.schema_names().items():
        value: object = resolved
        for part in name.split("."):
            value = getattr(value, part)
        table.add_row(name, repr(value), " ".join(meaning.split()))
    Console(width=None).print(table)
