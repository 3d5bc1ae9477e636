"""Make a Llama of 2.4 M parameters with its own tokenizer, offline, in seconds, from the bundled sentences.

It has seen no label and judges at chance; it is shaped so that a few seconds of LoRA can teach it to judge.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kit.config import PROJECT_ROOT, Competition, Prompt
from kit.fetch import stage, vocabulary
from kit.task import prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SENTENCES = PROJECT_ROOT / "src/local_kaggle/competition/train.csv"
LABELS = ("Positive", "Negative")

# NF4 quantises blocks of 64 weights, so every width is a multiple of 64.
HIDDEN, HEADS, HEAD, INTERMEDIATE, CONTEXT_TOKENS = 256, 4, 64, 128, 2048
VOCABULARY = 4032
SPECIALS = (
    *(vocabulary.BEGIN, vocabulary.END_OF_TEXT, vocabulary.PADDING),
    *(vocabulary.HEADER_START, vocabulary.HEADER_END, vocabulary.END_OF_TURN),
)
ROPE_THETA = 500_000.0

# Two dimensions of every token's vector say what kind of token it is; the others say what it means.
_IS_TEXT, _IS_ANSWER, _MEANING = 0, 1, 2

_LAYER = "model.layers.0."


def make(folder: Path, *, labels: Sequence[str] = LABELS, force: bool = False) -> bool:
    """Make `folder` unless it is there already, and return whether it had to be made.

    Takes about 3 s, and writes the same bytes for the same labels and sentences, of which no label is read.
    """
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file)]
    frames = _frames(labels)

    def build(fresh: Path) -> dict[str, object]:
        tokenizer = train_tokenizer([*sentences, *frames])
        vocabulary.save(tokenizer, fresh, context_tokens=CONTEXT_TOKENS)
        weights = make_weights(tokenizer, sentences, labels)
        _save_model(weights, tokenizer, fresh)
        count = sum(weight.size for weight in weights.values())
        return {"labels": labels, "sentences": len(sentences), "parameters": count}

    inputs = json.dumps([labels, sentences, frames], ensure_ascii=False)
    kin = Path(vocabulary.__file__).read_text(encoding="utf-8")
    return stage.make(folder, build, kin, inputs, force=force)


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Return a byte-level tokenizer of the Llama-3 kind, of VOCABULARY tokens at most, the specials first."""
    from tokenizers import pre_tokenizers, trainers

    tokenizer = vocabulary.from_ranks(b"", ())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_weights(
    tokenizer: Tokenizer, sentences: Sequence[str], labels: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Return the model's tensors by the names that transformers gives them.

    A wholly random Llama of this size learns nothing in a minute. Three things are set on purpose: a token's
    vector tells how it is spelled (`_meanings`), so that a word teaches something about its kin; attention
    hands on the mean of what the row says, magnified; and the output layer knows the form of an answer (a
    label after text, the end after a label), so that training spends its steps on which label.
    """
    random = np.random.default_rng(0)

    def noise(rows: int, columns: int, scale: float) -> NDArray[np.float64]:
        return random.normal(0.0, scale / np.sqrt(columns), (rows, columns))

    rows = -(-tokenizer.get_vocab_size() // 64) * 64
    answers = _answer_ids(tokenizer, labels)
    embedding = np.zeros((rows, HIDDEN))
    meanings = _meanings(tokenizer, sentences, HIDDEN - _MEANING)
    embedding[: len(meanings), _MEANING:] = meanings
    # Every vector has the same length, or the layer's norm would hide that a frequent token means little.
    embedding[:, _IS_TEXT] = np.sqrt(1.0 - (embedding**2).sum(axis=1))
    embedding[answers] = 0.0
    embedding[answers, _IS_ANSWER] = 1.0
    magnified = np.diag(np.where(np.arange(HIDDEN) < _MEANING, 0.0, 10.0))
    head = noise(rows, HIDDEN, 1.0)
    head[:, :_MEANING] = 0.0
    head[answers, _IS_TEXT] = 2.0
    head[tokenizer.token_to_id(vocabulary.END_OF_TURN), _IS_ANSWER] = 2.0
    weights = {
        "model.embed_tokens.weight": embedding * np.sqrt(HIDDEN),
        # Small queries and keys: attention is nearly even until training sharpens it.
        f"{_LAYER}self_attn.q_proj.weight": noise(HEADS * HEAD, HIDDEN, 0.3),
        f"{_LAYER}self_attn.k_proj.weight": noise(HEADS * HEAD, HIDDEN, 0.3),
        f"{_LAYER}self_attn.v_proj.weight": magnified,
        f"{_LAYER}self_attn.o_proj.weight": np.eye(HIDDEN),
        f"{_LAYER}mlp.gate_proj.weight": noise(INTERMEDIATE, HIDDEN, 0.5),
        f"{_LAYER}mlp.up_proj.weight": noise(INTERMEDIATE, HIDDEN, 0.5),
        f"{_LAYER}mlp.down_proj.weight": noise(HIDDEN, INTERMEDIATE, 0.5),
        f"{_LAYER}input_layernorm.weight": np.ones(HIDDEN),
        f"{_LAYER}post_attention_layernorm.weight": np.ones(HIDDEN),
        "model.norm.weight": np.ones(HIDDEN),
        "lm_head.weight": head,
    }
    return {name: weight.astype(np.float32) for name, weight in weights.items()}


def _meanings(tokenizer: Tokenizer, sentences: Sequence[str], width: int) -> NDArray[np.float64]:
    """Return a vector of length below 1 for each token: latent semantic analysis of the sentences' spelling.

    A token is the bag of its letter n-grams, a sentence the mean of its tokens; the vectors keep the
    directions in which the sentences differ most (Deerwester et al., 1990). Rare n-grams weigh more.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits

    size = tokenizer.get_vocab_size()
    spelling = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), norm=None).fit(sentences)
    of_token = spelling.transform([tokenizer.decode([token]) for token in range(size)])
    shares = np.zeros((len(sentences), size))
    for row, sentence in zip(shares, sentences, strict=True):
        tokens = tokenizer.encode(sentence, add_special_tokens=False).ids
        np.add.at(row, tokens, 1.0 / max(1, len(tokens)))
    of_sentence = shares @ of_token
    # One thread: the order of additions, and with it the last bits, depends on how many there are.
    with threadpool_limits(1):
        values, directions = np.linalg.eigh(of_sentence @ of_sentence.T)
        kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:width]
        # A power of 0.5 would give every direction the same spread over the tokens, 0.75 over the sentences.
        vectors = of_token @ (of_sentence.T @ (directions[:, kept] / values[kept] ** 0.75))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    longest = np.quantile(lengths[lengths > 0], 0.9)
    meanings = np.zeros((size, width))
    meanings[:, : len(kept)] = 0.95 * vectors / np.maximum(lengths, longest)
    return meanings


def _answer_ids(tokenizer: Tokenizer, labels: Sequence[str]) -> list[int]:
    """Return the token that each label begins with, alone and after a space."""
    forms = [form for label in labels for form in (label, f" {label}")]
    return sorted({tokenizer.encode(form, add_special_tokens=False).ids[0] for form in forms})


def _frames(labels: Sequence[str]) -> list[str]:
    """Return what stands around the sentences in every prompt style, often enough to become whole tokens."""
    asked = Competition(slug="frames", labels=tuple(labels))
    texts = [
        prompt.form(asked, Prompt(), style).render({asked.texts[0]: ""}) + form
        for style in ("plain", "notebook", "llama3")
        for label in labels
        for form in (f" {label}", f"\n{label}")
    ]
    return [re.sub(r"<\|\w+\|>", "\n", text) for text in texts] * 200


def _save_model(weights: dict[str, NDArray[np.float32]], tokenizer: Tokenizer, folder: Path) -> None:
    from safetensors.numpy import save

    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float32",
        "vocab_size": len(weights["lm_head.weight"]),
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD,
        "max_position_embeddings": CONTEXT_TOKENS,
        "rope_theta": ROPE_THETA,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.token_to_id(vocabulary.BEGIN),
        "eos_token_id": tokenizer.token_to_id(vocabulary.END_OF_TURN),
        "pad_token_id": tokenizer.token_to_id(vocabulary.PADDING),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
