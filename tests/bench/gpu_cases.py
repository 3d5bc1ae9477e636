"""The cases of gpu_run.py, each run in a process of its own: `python gpu_cases.py CASE '{"…": …}'`.

A case prints one JSON object as its last line. Every case goes through the kit's own loader, trainer and
scorer; none of them needs a network.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from kit import config as settings
from kit.config import Config
from kit.fetch import gguf_models
from kit.pipeline import loading, model, tokens
from kit.pipeline.answering import predict
from kit.pipeline.machine import hardware
from kit.pipeline.model import Loaded
from kit.pipeline.training import oversee
from kit.pipeline.training import train as training
from kit.pipeline.training.layout import Layout

T4_BYTES = 14.5 * 2**30
"""What a T4 leaves to torch."""

WORDS = (
    *("बहुत", "अच्छा", "होटल", "খাবার", "ভালো", "ছিল", "உணவு", "நன்றாக", "இருந்தது"),
    *("the", "delivery", "was", "late", "సేవ", "బాగుంది", "ಚೆನ್ನಾಗಿದೆ"),
)


def resolve(preset: str, **changed: object) -> Config:
    """Return a preset with settings written `train__max_steps=20`."""
    overrides = [f"{name.replace('__', '.')}={json.dumps(value)}" for name, value in changed.items()]
    return settings.resolve(preset, overrides)


def load(config: Config, folder: str, *, cap: bool = False) -> Loaded:
    """Load the base with an adapter on the first card; `cap` leaves torch no more memory than a T4 has."""
    cards = hardware.cards()
    card = cards[0] if cards else None
    loading.import_stack(loading.loader(config, card))
    if cap and card is not None:
        import torch

        torch.cuda.set_per_process_memory_fraction(min(1.0, T4_BYTES / torch.cuda.mem_get_info()[1]))
    loaded = loading.load(config, Path(folder), card, hardware.precision(cards[:1], config.model.dtype))
    model.renew_adapter(loaded, config.seed)
    return loaded


def rows(tokenizer: Any, count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return rows whose lengths follow the competition's: median 150 tokens, mean 177, at most 1,055."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        wanted = min(1055, int(draw.lognormvariate(5.01, 0.6)))
        text = ""
        while len(tokenizer(text)["input_ids"]) < wanted:
            text += " ".join(draw.choices(WORDS, k=max(1, wanted // 20))) + " "
        label = draw.choice(["Positive", "Negative"])
        made.append({"id": f"r{number}", "text": text.strip(), "label": label})
    return made


def long_rows(folder: str, vocabulary: str, train: int, test: int) -> dict[str, Any]:
    """Write a competition whose rows follow the length profile of the real one."""
    from transformers import AutoTokenizer

    made = rows(AutoTokenizer.from_pretrained(vocabulary), train + test)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, part, columns in (
        ("train.csv", made[:train], ("id", "text", "label")),
        ("test.csv", made[train:], ("id", "text")),
    ):
        with (Path(folder) / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(part)
    return {"rows": len(made)}


def train_speed(
    folder: str, cap: bool = True, steps: int = 16, count: int = 300, **changed: object
) -> dict[str, Any]:
    """Tokens a second and peak memory of training; the first four steps, which compile, do not count.

    The last four steps run under the profiler: `card_us_a_token` is the time that kernels keep the card busy.
    """
    import torch

    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])

    config = resolve("t4x2", train__max_steps=steps, run__cards=1, model__dtype="float16", **changed)
    loaded = load(config, folder, cap=cap)
    torch.cuda.reset_peak_memory_stats()
    clock: list[float] = []
    original = oversee.overseer

    def timed(*facts: Any, **named: Any) -> Any:
        callback = original(*facts, **named)
        step_end = callback.on_log

        def on_log(*args: Any, **kwargs: Any) -> None:
            torch.cuda.synchronize()
            clock.append(time.monotonic())
            if len(clock) == steps - 4:
                profiler.start()
            elif len(clock) == steps:
                profiler.stop()
            step_end(*args, **kwargs)

        callback.on_log = on_log
        return callback

    oversee.overseer = timed
    trained = training.train(
        loaded, rows(loaded.tokenizer, count), config, seed=1, scratch=Path("/tmp/gpu-run")
    )
    assert trained.layout is not None
    settings_of_step = trained.layout.batch_size * trained.layout.gradient_accumulation
    fill = trained.tokens / max(trained.history[-1]["step"] * settings_of_step, 1)
    seconds = (clock[steps - 5] - clock[3]) / (steps - 8)
    busy = sum(event.self_device_time_total for event in profiler.key_averages()) / 4
    return {
        "card_us_a_token": round(busy / (fill * settings_of_step), 2),
        "tokens_a_second": round(fill * settings_of_step / seconds),
        "bin_fill": round(fill),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        "loss": [round(entry["loss"], 3) for entry in trained.history],
    }


def predict_speed(
    folder: str, how: str, count: int = 1000, cap: bool = True, **changed: object
) -> dict[str, Any]:
    """Rows a second of scoring, of batched generation and of one-by-one generation."""
    import torch

    config = resolve("t4x2", run__cards=1, model__dtype="float16", **changed)
    loaded = load(config, folder, cap=cap)
    asked = rows(loaded.tokenizer, count)
    answer = predict.score if how == "score" else lambda *args: predict.generate(*args, seed=1)
    answer(loaded, asked[:8], config)
    torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    answer(loaded, asked, config)
    torch.cuda.synchronize()
    return {
        "rows_a_second": round(count / (time.monotonic() - started), 2),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def same_alone(folder: str, adapter: str, asked: list[dict[str, str]], **changed: object) -> dict[str, Any]:
    """The largest difference of a probability between one row at a time and full batches, after a reload."""
    config = resolve("small", **changed)
    loaded = load(config, folder)
    model.load_adapter(loaded, Path(adapter))
    batched = predict.score(loaded, asked, config)
    single = predict.score(loaded, asked, resolve("small", **changed, predict__batch_rows=1))
    worst = max(abs(batched[key][0] - single[key][0]) for key in batched)
    return {"worst_difference": round(worst, 5), "batched": batched, "single": single}


def leak(folder: str, **changed: object) -> dict[str, Any]:
    """How the loss of the last document of a bin moves when the documents before it are replaced.

    `packed` must not move. `control` is the same bin without the marks of where documents begin, and must.
    """
    import torch
    from datasets import Dataset

    config = resolve("small", **changed)
    loaded = load(config, folder)
    examples = tokens.teach(loaded.tokenizer, rows(loaded.tokenizer, 40), config, 1)
    examples = [example for example in examples if len(example["input_ids"]) <= 160][:3]
    layout = Layout(config.train.pack_tokens, 1, 1, False)
    trainer = training._trainer(loaded, Dataset.from_list(examples), config, 1, Path("/tmp/gpu-run"), layout)
    training._assert_packed(trainer)
    model.settle_precision(loaded)
    bins = list(trainer.train_dataset)
    whole = trainer.data_collator([bins[0]])
    lengths = bins[0]["seq_lengths"]
    assert len(lengths) > 1, "one document alone cannot leak"
    boundary = sum(lengths[:-1])
    batch = {name: value.to(loaded.device) for name, value in whole.items()}
    batch["labels"][:, :boundary] = -100
    other = dict(batch, input_ids=batch["input_ids"].clone())
    draw = torch.Generator().manual_seed(1)
    other["input_ids"][:, 1:boundary] = torch.randint(100, 5000, (boundary - 1,), generator=draw)
    marks = ("position_ids", "packed_seq_lengths")

    def loss(inputs: dict[str, Any], marked: bool = True) -> float:
        kept = {name: value for name, value in inputs.items() if marked or name not in marks}
        mixed = torch.autocast(loaded.device, torch.float16, enabled=loaded.dtype == "float16")
        with torch.no_grad(), mixed:
            return float(loaded.model(**kept, use_cache=False).loss)

    loaded.model.train()
    return {
        "packed": abs(loss(batch) - loss(other)),
        "control": abs(loss(batch, marked=False) - loss(other, marked=False)),
        "attention": _attention(loaded),
        "documents": len(lengths),
    }


def prequantized(folder: str, into: str, **changed: object) -> dict[str, Any]:
    """Save a 4-bit checkpoint that says bfloat16, load it on the plain path in fp16, train two steps."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=quantization, dtype=torch.bfloat16, device_map={"": "cuda"}
    ).save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)
    config = resolve("small", **changed, model__loader="plain", model__dtype="float16", train__max_steps=2)
    loaded = load(config, into)
    trained = training.train(loaded, rows(loaded.tokenizer, 60), config, seed=1, scratch=Path("/tmp/gpu-run"))
    return {"loss": [round(entry["loss"], 3) for entry in trained.history]}


def make_small(gguf: str, folder: str) -> dict[str, object]:
    """Make SmolLM2 of its GGUF, as `make small-model` does."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    gguf_models.save_tokenizer_of_smollm2(Path(gguf), place)
    gguf_models.save_model(Path(gguf), place, "LlamaForCausalLM")
    return {"files": sorted(path.name for path in place.iterdir())}


def make_8b(folder: str, vocabulary: str, layers: int = 32, width: int = 4096) -> dict[str, Any]:
    """Write a pre-quantised NF4 checkpoint of Llama 3.1 8B's shape with random weights made on the device."""
    import bitsandbytes
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = LlamaConfig(
        vocab_size=128256, hidden_size=width, intermediate_size=width * 7 // 2, num_hidden_layers=layers,
        num_attention_heads=width // 128, num_key_value_heads=max(1, width // 512), rms_norm_eps=1e-5,
        max_position_embeddings=131072, bos_token_id=128000, eos_token_id=128009, pad_token_id=128004,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
        tie_word_embeddings=False,
    )  # fmt: skip
    torch.set_default_dtype(torch.float16)
    torch.manual_seed(0)
    with torch.device(device):
        base = LlamaForCausalLM(shape)
    for parent in list(base.model.layers.modules()):
        for name, linear in list(parent.named_children()):
            if isinstance(linear, torch.nn.Linear):
                four_bit = bitsandbytes.nn.Linear4bit(
                    linear.in_features, linear.out_features, bias=False, compute_dtype=torch.float16,
                    compress_statistics=True, quant_type="nf4", device="meta",
                )  # fmt: skip
                four_bit.weight = bitsandbytes.nn.Params4bit(
                    linear.weight.data.cpu(), requires_grad=False, quant_type="nf4", compress_statistics=True
                ).to(device)
                setattr(parent, name, four_bit)
    shape.quantization_config = {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "_load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16",
        "bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": ["lm_head"],
    }  # fmt: skip
    shape.architectures = ["LlamaForCausalLM"]
    shape.dtype = torch.float16
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous().cpu() for name, value in base.state_dict().items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    shape.save_pretrained(target)
    AutoTokenizer.from_pretrained(vocabulary).save_pretrained(target)
    return {"gib": round((target / "model.safetensors").stat().st_size / 2**30, 2)}


def _attention(loaded: Loaded) -> str:
    if loaded.loader == "plain":
        return str(loaded.model.config._attn_implementation)
    from unsloth.models import _utils

    return (
        f"xformers={getattr(_utils, 'HAS_XFORMERS', None) or getattr(_utils, 'xformers', None) is not None}"
    )


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
