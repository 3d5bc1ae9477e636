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
    if arguments.source:
        from kit.bundle import script, tree
        from kit.files import PROJECT_ROOT, write_whole

        settings = None
        if arguments.preset:  # a foreign tree needs no settings, nor the packages behind them
            from kit.config import resolve

            settings = resolve(arguments.preset, arguments.set).model_dump(mode="json")
        made = script.bundle(tree.collect(arguments.source, arguments.entry), settings)
        path = arguments.output or PROJECT_ROOT / "build" / arguments.source.resolve().name / "kernel.py"
        write_whole(path, made.text)
    else:
        from kit import config
        from kit.bundle import build, metadata

        resolved = config.resolve(arguments.preset or "t4x2", arguments.set)
        built = build.build(resolved, path=arguments.output)
        path, made = built.script, built.bundle
        print(f"owner        {metadata.PLACEHOLDER_OWNER}, until make push fills in yours")
    print(f"path         {path}{'  (compressed as a whole)' if made.compressed else ''}")
    print(f"bytes        {len(made.text.encode())}")
    print(f"sha256       {made.sha256}")
    print(f"bundle_hash  {made.bundle_hash}")
