"""Make or fetch what rehearsals and tests need at home, unless it is there: models, tokenizer, real text."""

from collections.abc import Callable
from pathlib import Path

from kit.command import options, run


def _makers() -> dict[str, tuple[Path, Callable[..., bool]]]:
    from kit.fetch import corpus, gemma_model, inputs, small_model, tiny_model, vocabulary

    return {
        "tiny-model": (inputs.MODELS / inputs.TINY, tiny_model.make),
        "small-model": (inputs.MODELS / inputs.SMALL, small_model.make),
        "gemma-model": (inputs.MODELS / inputs.GEMMA, gemma_model.make),
        "vocabulary": (vocabulary.FOLDER, vocabulary.make),
        "corpus": (inputs.CORPUS, corpus.make),
    }


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("what", choices=("tiny-model", "small-model", "gemma-model", "vocabulary", "corpus"))
    parser.add_argument("--force", action="store_true", help="make it again though it is there")
    arguments = parser.parse_args()
    folder, make = _makers()[arguments.what]
    print(f"{folder} {'made' if make(folder, force=arguments.force) else 'is up to date'}")


if __name__ == "__main__":
    run(main)
