"""Make or fetch what rehearsals and tests need at home, unless it is there: models, tokenizer, real text."""

from kit.command import Arguments, Option, verb

OWN: dict[str, Option] = {
    "what": {"choices": ("tiny-model", "small-model", "gemma-model", "vocabulary", "corpus")},
    "--force": {"action": "store_true", "help": "make it again though it is there"},
}


@verb(own=OWN)
def main(arguments: Arguments) -> None:
    from kit.fetch import corpus, gguf_models, inputs, tiny_model, vocabulary

    folder, make = {
        "tiny-model": (inputs.MODELS / inputs.TINY, tiny_model.make),
        "small-model": (inputs.MODELS / inputs.SMALL, gguf_models.make_small),
        "gemma-model": (inputs.MODELS / inputs.GEMMA, gguf_models.make_gemma),
        "vocabulary": (vocabulary.FOLDER, vocabulary.make),
        "corpus": (inputs.CORPUS, corpus.make),
    }[arguments.what]
    print(f"{folder} {'made' if make(folder, force=arguments.force) else 'is up to date'}")
