"""The presets that ship with the kit: what each one changes of the defaults in `kit.config`."""

from typing import Any

Table = dict[str, Any]  # settings by name, some of them tables again, as TOML has them

PRESETS: dict[str, Table] = {
    # Every default of kit.config is the default of this preset.
    "t4x2": {},
    # Every training row judged by a model that has not seen it.
    "t4x2-cv": {"extends": "t4x2", "evaluate": {"mode": "folds", "folds": 4}, "run": {"members": 1}},
    # The same code path in minutes: what a first push should be.
    "smoke": {
        "extends": "t4x2",
        "data": {"train_rows": 64, "test_rows": 16},
        # Of eight steps not one should be skipped while the fp16 scaler finds its scale.
        "train": {"max_steps": 8, "loss_scale_start": 1024.0},
        "run": {"time_limit_minutes": 15},
    },
    # The reference solution's recipe, as its own published run had it.
    "reference": {
        "extends": "t4x2",
        "seed": 3407,
        "model": {"name": "unsloth/llama-3-8b-Instruct-bnb-4bit"},
        "lora": {"rslora": True},
        "prompt": {"style": "notebook"},
        "train": {
            "learning_rate": 3e-4,
            "batch_size": 2,
            "gradient_accumulation": 4,
            "pack_tokens": 2048,
            "gradient_checkpointing": True,
            "max_steps": 70,
            "warmup_steps": 5,
            "weight_decay": 0.01,
            "prompt_loss_weight": 1.0,
        },
        "predict": {"mode": "generate", "max_new_tokens": 10, "temperature": 0.1, "batch_rows": 1},
        "evaluate": {"mode": "none"},
        "run": {"members": 1, "cards": 1},
    },
    # A real instruct model of 135 M parameters: an evening's CPU or any GPU.
    "small": {
        "kernel": {"accelerator": "none"},
        "model": {"name": "kit/small/transformers/default/1", "max_row_tokens": 512},
        "train": {
            "epochs": 3.0,
            "learning_rate": 1e-3,
            "pack_tokens": 512,
            "gradient_accumulation": 2,
            "gradient_checkpointing": False,
        },
        "predict": {"batch_tokens": 4096},
        "run": {"members": 1, "cards": 0},
    },
    # A random Llama that is made in seconds: every line of the pipeline, none of the waiting.
    "tiny": {
        "extends": "small",
        "model": {"name": "kit/tiny/transformers/default/1"},
        "train": {"epochs": 5.0, "learning_rate": 5e-3, "gradient_accumulation": 1},
    },
}
