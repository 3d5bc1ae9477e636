"""Make the tiny model of the rehearsals: a Llama of 2.4 M parameters, offline, in seconds."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="make it again though it is there")
    arguments = parser.parse_args()

    from kit.fetch import inputs, tiny_model

    folder = inputs.MODELS / inputs.TINY
    made = tiny_model.make(folder, force=arguments.force)
    print(f"{folder} {'made' if made else 'is up to date'}")


if __name__ == "__main__":
    run(main)
