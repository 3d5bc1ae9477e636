"""List every setting of a preset with its value, type and meaning."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="t4x2", help="preset to show (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    arguments = parser.parse_args()

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


if __name__ == "__main__":
    run(main)
