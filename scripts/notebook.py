"""Write the sources and settings as one notebook that reads as a story, build/<preset>/kernel.ipynb."""

from kit.command import Arguments, verb


@verb("preset", "set")
def main(arguments: Arguments) -> None:
    from kit import config
    from kit.bundle import build

    built = build.build(config.resolve(arguments.preset, [*arguments.set, "kernel.form=notebook"]))
    print(f"{built.script}: {len(built.bundle.text.encode()):,} bytes, {len(built.bundle.files)} files")
    print(f"next: make push PRESET={arguments.preset} FORM=notebook")
