"""Write tokenizers of the Llama-3 kind, and store Llama 3's own, taken out of the package that carries it.

The tokenizer files only: no weights.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kit.config import PROJECT_ROOT
from kit.fetch import package, stage

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FOLDER = PROJECT_ROOT / "models/kit/llama3-vocabulary"

SHA256 = "7f77f78ff13fca09f70d76a376aff6414cd901623fb9d57e69c2f8367a73032f"
PACKAGE = package.Package("llama-models", "0.3.0", "wheel", SHA256, "Llama 3 Community License")
RANKS = "llama_models/llama3/tokenizer.model"

BEGIN, END_OF_TEXT, END_OF_TURN = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
PADDING, HEADER_START, HEADER_END = "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>"

# In the order of their ids, which follow the 128,000 of the text (llama_models/llama3/tokenizer.py).
_RESERVED = [f"<|reserved_special_token_{number}|>" for number in range(246)]
SPECIALS = (
    *(BEGIN, END_OF_TEXT, *_RESERVED[:2], PADDING, "<|step_id|>", HEADER_START, HEADER_END, "<|eom_id|>"),
    *(END_OF_TURN, "<|python_tag|>", "<|image|>", *_RESERVED[2:]),
)


def make(folder: Path = FOLDER, *, force: bool = False) -> bool:
    """Make `folder` unless it is there already, and return whether it had to be made. Takes a few seconds."""
    return stage.make(folder, _build, force=force)


def _build(folder: Path) -> dict[str, object]:
    ranks = package.read(PACKAGE, [RANKS])[RANKS]
    save(from_ranks(ranks, SPECIALS), folder, context_tokens=131072)
    return {"member": RANKS, "package": asdict(PACKAGE)}


def from_ranks(ranks: bytes, specials: Sequence[str]) -> Tokenizer:
    """Return the tokenizer that a file of `base64 rank` lines describes; the specials follow in order.

    It is byte-level and cuts text as Llama 3 does: a piece that is a token as it stands needs no merging, and
    elsewhere every pair of tokens that spells another may become it. Nothing is unknown to it.
    """
    from transformers.convert_slow_tokenizer import TikTokenConverter

    class Converter(TikTokenConverter):  # type: ignore[misc]  # transformers is untyped
        @staticmethod
        def load_tiktoken_bpe(lines: bytes) -> dict[bytes, int]:
            """Read what tiktoken would read from a file."""
            pairs = map(bytes.split, lines.splitlines())
            return {base64.b64decode(token): int(rank) for token, rank in pairs}

    tokenizer: Tokenizer = Converter(ranks, extra_special_tokens=list(specials)).converted()
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, *, context_tokens: int) -> None:
    """Write what AutoTokenizer loads; the begin token is put in front once, by tokenisation."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    begin = (BEGIN, tokenizer.token_to_id(BEGIN))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[begin]
    )
    # Padding is another token than the end: a loss that masks padding would never teach the model to stop.
    roles = {"bos_token": BEGIN, "eos_token": END_OF_TURN, "pad_token": PADDING}
    own = {"model_max_length": context_tokens, "clean_up_tokenization_spaces": False}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles, **own).save_pretrained(folder)
