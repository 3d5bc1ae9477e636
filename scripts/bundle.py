"""Put a source tree into one script: ours for a preset, or any other with --source and --entry."""

from pathlib import Path

from kit.command import options, run


def main() -> None:
    """Write the script, beside ours its metadata, and print its path, bytes, sha256 and bundle_hash."""
    parser = options(__doc__, "preset", "set", preset="")
    parser.add_argument("--source", type=Path, metavar="DIR", help="bundle this folder; imports start there")
    parser.add_argument("--entry", type=Path, metavar="FILE", help="the script that runs, with --source")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: build/NAME/kernel.py")
    arguments = parser.parse_args()
    if (arguments.source is None) != (arguments.entry is None):
        parser.error("--source and --entry go together")

    from kit.bundle import script, tree
    from kit.files import PROJECT_ROOT

    preset = arguments.preset or ("" if arguments.source else "t4x2")
    name = arguments.source.resolve().name if arguments.source else preset
    path = arguments.output or PROJECT_ROOT / "build" / name / "kernel.py"
    settings = None
    if preset:
        from kit.bundle import metadata
        from kit.config import resolve

        resolved = resolve(preset, arguments.set)
        settings = resolved.model_dump(mode="json")
    if arguments.source:
        made = script.bundle(tree.collect(arguments.source, arguments.entry), settings)
    else:
        made = script.bundle_project(settings)
        metadata.write(resolved, path.parent)
        print(f"owner        {metadata.PLACEHOLDER_OWNER}, until make push fills in yours")
    script.write(made, path)
    print(f"path         {path}{'  (compressed as a whole)' if made.compressed else ''}")
    print(f"bytes        {len(made.text.encode())}")
    print(f"sha256       {made.sha256}")
    print(f"bundle_hash  {made.bundle_hash}")


if __name__ == "__main__":
    run(main)
