"""Put a source tree into one script: ours for a preset, or any other with --source and --entry."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kit.command import options, run

if TYPE_CHECKING:
    from kit.bundle.script import Bundle


def main() -> None:
    """Write the script and print its path, bytes, sha256 and bundle_hash."""
    parser = options(__doc__, "preset", "set", preset="")
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="folder to bundle whole; imports start there"
    )
    parser.add_argument("--entry", type=Path, metavar="FILE", help="the script that runs, with --source")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="default: build/NAME/kernel.py, NAME the preset or the folder",
    )
    arguments = parser.parse_args()
    if (arguments.source is None) != (arguments.entry is None):
        parser.error("--source and --entry go together")
    if arguments.set and arguments.source and not arguments.preset:
        parser.error("--set goes with --preset")

    made, path = _bundle_other(arguments) if arguments.source else _bundle_ours(arguments)
    print(f"path         {path}{'  (compressed as a whole)' if made.compressed else ''}")
    print(f"bytes        {len(made.text.encode())}")
    print(f"sha256       {made.sha256}")
    print(f"bundle_hash  {made.bundle_hash}")


def _bundle_ours(arguments: argparse.Namespace) -> tuple[Bundle, Path]:
    """Bundle our own tree, with its metadata beside it."""
    from kit.bundle import build, metadata
    from kit.bundle.script import bundle_project, write
    from kit.config import resolve

    config = resolve(arguments.preset or "t4x2", arguments.set)
    if arguments.output:
        made = bundle_project(config.model_dump(mode="json"))
        write(made, arguments.output)
        metadata.write(config, arguments.output.parent)
        return made, arguments.output
    built = build.build(config)
    print(f"owner        {metadata.PLACEHOLDER_OWNER}, until make push fills in yours")
    return built.bundle, built.script


def _bundle_other(arguments: argparse.Namespace) -> tuple[Bundle, Path]:
    """Bundle a foreign tree whole, with settings only where a preset is asked for."""
    from kit.bundle import tree
    from kit.bundle.script import bundle, write
    from kit.files import PROJECT_ROOT

    config = None
    if arguments.preset:
        from kit.config import resolve

        config = resolve(arguments.preset, arguments.set).model_dump(mode="json")
    made = bundle(tree.collect(arguments.source, arguments.entry), config)
    path = arguments.output or PROJECT_ROOT / "build" / arguments.source.resolve().name / "kernel.py"
    write(made, path)
    return made, path


if __name__ == "__main__":
    run(main)
