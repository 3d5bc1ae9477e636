"""Put a source tree into one script: ours for a preset, or any other with --source and --entry."""

from pathlib import Path

from kit.command import Arguments, Option, Usage, verb

OWN: dict[str, Option] = {
    "--source": {"type": Path, "metavar": "DIR", "help": "bundle this folder; imports start there"},
    "--entry": {"type": Path, "metavar": "FILE", "help": "the script that runs, with --source"},
    "--output": {"type": Path, "metavar": "FILE", "help": "default: build/NAME/kernel.py"},
}


@verb("preset", "set", preset="", own=OWN)
def main(arguments: Arguments) -> None:
    if (arguments.source is None) != (arguments.entry is None):
        raise Usage("--source and --entry go together", hint="python scripts/bundle.py --help")

    from kit.bundle import script, tree
    from kit.files import PROJECT_ROOT, write_whole

    preset = arguments.preset or ("" if arguments.source else "t4x2")
    name = arguments.source.resolve().name if arguments.source else preset
    path = arguments.output or PROJECT_ROOT / "build" / name / "kernel.py"
    settings = None
    if preset:  # a foreign tree needs no settings, nor the packages behind them
        from kit.bundle import metadata
        from kit.config import resolve

        resolved = resolve(preset, arguments.set)
        settings = resolved.model_dump(mode="json")
    if arguments.source:
        made = script.bundle(tree.collect(arguments.source, arguments.entry), settings)
    else:
        made = script.bundle(tree.collect_project(PROJECT_ROOT), settings)
        metadata.write(resolved, path.parent)
        print(f"owner        {metadata.PLACEHOLDER_OWNER}, until make push fills in yours")
    write_whole(path, made.text)
    print(f"path         {path}{'  (compressed as a whole)' if made.compressed else ''}")
    print(f"bytes        {len(made.text.encode())}")
    print(f"sha256       {made.sha256}")
    print(f"bundle_hash  {made.bundle_hash}")
