"""Hold kernel/requirements.txt against Kaggle's images: wheels for each Python, and torch as it is."""

from __future__ import annotations

import sys

from kit.command import options, run


def main() -> int:
    """Print every dependency that an image would not meet; return 1 where one is not waived."""
    parser = options(__doc__)
    parser.add_argument("python", nargs="*", help="Pythons of the images to check (default: all known)")
    arguments = parser.parse_args()

    from kit.bundle import pins
    from kit.errors import InputInvalid
    from kit.remote import runs

    folder = runs.REQUIREMENTS.parent
    wanted, loose = pins.read(runs.REQUIREMENTS)
    if loose:
        raise InputInvalid(f"{runs.REQUIREMENTS} pins no exact version in {loose[0]!r}", hint="name==version")
    failed = 0
    for python in arguments.python or pins.IMAGE_PYTHONS:
        path = folder / f"image-{python}.txt"
        if not path.is_file():
            raise InputInvalid(f"{path} is missing", hint=f"one of {', '.join(pins.IMAGE_PYTHONS)}")
        image = pins.read_image(path)
        findings = pins.unmet(pins.metadata(wanted, python), image, python)
        bad = [finding for finding in findings if not finding.waived]
        kept = ", ".join(f"{name} {image[name]}" for name in sorted(pins.KEPT))
        if not bad:
            print(f"pass  Python {python}: {len(wanted)} pins have wheels, and {kept} stay", flush=True)
        for finding in findings:
            said = f" (waived: {finding.waived})" if finding.waived else ""
            print(
                f"{'warn' if finding.waived else 'fail'}  Python {python}: {finding.text}{said}", flush=True
            )
        failed += len(bad)
    if failed:
        print(f"error: {failed} dependencies are not met (try: another pin there)", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
