"""Hold kernel/requirements.txt against Kaggle's images: wheels for each Python, and torch as it is."""

from kit.command import Arguments, verb


@verb()
def main(_: Arguments) -> None:
    from kit.bundle import pins
    from kit.errors import InputInvalid
    from kit.remote import runs

    folder = runs.REQUIREMENTS.parent
    wanted, loose = pins.read(runs.REQUIREMENTS)
    if loose:
        raise InputInvalid(f"{runs.REQUIREMENTS} pins no exact version in {loose[0]!r}", hint="name==version")
    failed: list[str] = []
    for python in pins.IMAGE_PYTHONS:
        image = pins.read_image(folder / f"image-{python}.txt")
        problems = pins.unmet(wanted, image, python)
        for problem in problems:
            print(f"fail  Python {python}: {problem}", flush=True)
        if not problems:
            kept = ", ".join(f"{name} {image[name]}" for name in sorted(pins.KEPT))
            print(f"pass  Python {python}: {len(wanted)} pins have wheels, and {kept} stay", flush=True)
        failed += problems
    if failed:
        raise InputInvalid(f"{len(failed)} dependencies are not met", hint="another pin there")
