"""Every setting of the kit: typed, frozen, with its default and its meaning."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from kit.accelerators import ACCELERATORS, DEFAULT
from kit.competition import Competition, Settings, one_of, refuse
from kit.task.prompt import STYLES, fields

LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**31)]


PromptStyle = Annotated[str, one_of(STYLES)]


class Kernel(Settings):
    """How Kaggle runs the script."""

    title: str = Field(default="Sentiment QLoRA", min_length=5)
    """The kernel's title; its slug is made from it, with the preset's name behind it."""
    accelerator: Annotated[str, one_of(ACCELERATORS)] = DEFAULT
    """`NvidiaTeslaT4` is two T4 cards, `NvidiaL4` four L4; the others are one card, `none` is the CPU."""
    image: Annotated[str, Field(pattern=r"^(default|[\w./-]+@sha256:[0-9a-f]{64})$")] = "default"
    """Docker image, by its digest; where queues are long, a named one has started in seconds."""
    form: Literal["script", "notebook"] = "script"
    """What is pushed; a notebook gets a slug of its own, since a kernel never changes its kind."""
    private: bool = True
    """Whether only you can see the kernel."""
    internet: bool = True
    """Whether the kernel may reach the internet, to install packages and fetch the model."""
    dataset_sources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Datasets to attach, `owner/slug`."""
    kernel_sources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Kernels whose output to attach, `owner/slug`."""


class Data(Settings):
    """How much of the competition's data a run uses."""

    train_rows: Count = 0
    """Training rows to use, drawn evenly over labels and languages; 0 for all."""
    test_rows: Count = 0
    """Test rows to predict, from the top of test.csv; 0 for all."""


def _model_name(name: str) -> str:
    forms = "owner/name on Hugging Face or owner/model/framework/variation/2 on Kaggle"
    is_one = re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w.-]+/[\w.-]+/\d+)?", name)
    refuse((not is_one, f"model.name = {name!r} is not written {forms}"))
    return name


class Model(Settings):
    """The base model and how it is loaded."""

    name: Annotated[str, AfterValidator(_model_name)] = "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit"
    """`owner/name` on Hugging Face, or a Kaggle Model `owner/model/framework/variation/2`."""
    architecture: str = ""
    """What its config.json must name as its architecture; empty for no check."""
    layers: Count = 0
    """How many layers it must have; 0 takes what its config.json says."""
    width: Count = 0
    """How wide its hidden states must be; 0 takes what its config.json says."""
    instruct: bool = False
    """Whether its tokenizer must have a chat template, as an instruct model's has."""
    loader: Literal["auto", "unsloth", "plain"] = "auto"
    """`auto` is Unsloth where there is a GPU, transformers with PEFT elsewhere."""
    four_bit: bool = True
    """Hold the base weights as NF4 with double quantisation (QLoRA, arXiv 2305.14314)."""
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    """Number format of activations; `auto` is float16 on a T4, which has no bfloat16 units."""
    max_row_tokens: Annotated[int, Field(ge=32)] = 2048
    """Longest prompt with its answer; a longer sentence is cut inside the sentence."""


class Lora(Settings):
    """The adapter (LoRA, arXiv 2106.09685)."""

    r: Positive = 16
    """Rank."""
    alpha: Positive = 16
    """The update is scaled by alpha / r, or by alpha / sqrt(r) with rslora."""
    dropout: Fraction = 0.0
    """Unsloth's fused kernels need 0."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) (arXiv 2312.03732)."""
    modules: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = LORA_MODULES
    """Linear layers that get an adapter."""


class Prompt(Settings):
    """The question put to the model."""

    style: PromptStyle = "plain"
    """`plain` is `### Input: … ### Response:`; `notebook` adds an instruction; `chat` is the model's own."""
    template: str = ""
    """The question in your words, `### A: {first}\\n### B: {second}\\n### Winner:`, with every text."""
    language: bool = False
    """Name the row's language in the prompt, `### Input (Tamil): …`, where its code is known."""


class Train(Settings):
    """Fine-tuning. A step is batch_size x gradient_accumulation bins, over all cards."""

    epochs: Annotated[float, Field(ge=0)] = 3.0
    """Passes over the training rows; 0 asks the base model untrained."""
    max_steps: Count = 0
    """Optimizer steps; overrides epochs unless 0."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up."""
    warmup_steps: Count = 5
    """Optimizer steps until the peak learning rate, at most a tenth of all."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay."""
    optimizer: Literal["adamw_8bit", "paged_adamw_8bit", "adamw_torch"] = "adamw_8bit"
    """Optimizer, by its transformers name."""
    batch_size: Positive = 1
    """Bins (with packing) or rows (without) of one forward pass."""
    gradient_accumulation: Count = 0
    """Bins of 2,048 or pack_tokens a step, over all cards; 0 is as many, up to 4, as leave 100 steps."""
    packing: bool = True
    """Fill bins of pack_tokens with whole rows that do not see each other."""
    pack_tokens: Count = 0
    """Length of a bin; 0 is 2,048, or what fits into memory, a step, and holds the longest row."""
    gradient_checkpointing: Literal[True, False, "auto"] = "auto"
    """Recompute activations, about half as much work again; `auto` only where memory runs out."""
    prompt_loss_weight: Fraction = 0.0
    """Share of prompt tokens that count in the loss; 0 teaches the answer only, 1 the whole text."""
    loss_scale_start: Annotated[float, Field(gt=0)] = 4096.0
    """First loss scale in fp16; lower it where a run has few steps, since each overflow skips one."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 30.0
    """Minutes between checkpoints of one member; 0 writes one only where its training stops."""
    checkpoint_mib: Count = 1024
    """Most MiB of adapter and optimizer that a checkpoint may hold; a heavier one is not written."""


class Predict(Settings):
    """How test rows get their labels."""

    mode: Literal["score", "generate"] = "score"
    """`score` compares the label tokens' logits in one pass; `generate` writes text and parses it."""
    templates: Annotated[tuple[PromptStyle, ...], Field(strict=False)] = ()
    """Other prompt styles to score each row under as well; the probabilities are averaged."""
    batch_tokens: Positive = 16384
    """Most tokens of one batch, padding included; halved where they do not fit into memory."""
    batch_rows: Count = 0
    """Most rows of one batch; 0 leaves it to batch_tokens."""
    max_new_tokens: Positive = 10
    """Longest generated answer."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the likeliest token."""


class Evaluate(Settings):
    """How the run judges itself before the leaderboard does."""

    seed: Seed = 42
    """Seed of the split, so that runs of other seeds hold out the same rows and can be compared."""

    mode: Literal["holdout", "folds", "none"] = "holdout"
    """`holdout` keeps the same rows from every member, `folds` other rows from each, `none` keeps none."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training rows kept out, even over labels and languages."""
    folds: Annotated[int, Field(ge=2)] = 4
    """Parts of the training rows; a multiple of the cards keeps both busy to the end."""
    group_duplicates: bool = False
    """Keep sentences that are nearly alike in one fold."""


class Run(Settings):
    """Members, cards and time."""

    members: Positive = 2
    """Models trained with seeds seed, seed + 1, …, of each fold; averaged. Unset: one for each card."""
    cards: Count = 2
    """GPUs that must be there, unset all of the accelerator's; 0 runs on the CPU where there is none."""
    one_member_on_all_cards: bool = True
    """Train a single member on all cards at once (DDP); where that cannot start, two seeds take its place."""
    cpu_processes: Positive = 1
    """Processes that share the work where there is no GPU."""
    memory_gib: Annotated[float, Field(ge=0)] = 0.0
    """Memory that a card may give, in GiB; 0 is all of it. A T4 leaves 14.5."""
    time_limit_minutes: Annotated[float, Field(gt=0)] = 690.0
    """From the kernel's first line to its last file; Kaggle cuts a GPU session at 12 hours."""
    silence_minutes: Annotated[float, Field(gt=0)] = 15.0
    """A process that says nothing for so long hangs, and is stopped."""
    stall_seconds: Annotated[float, Field(gt=0)] = 60.0
    """A download that does not grow for so long is begun again, once."""
    resume: str = ""
    """bundle_hash of an attached run to go on from; RESUME=<version> sets it."""
    adapters_from: str = ""
    """bundle_hash of an attached run whose adapters only answer; FROM=<version> sets it."""
    grid: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Points of a sweep, each `name=value` by spaces; make sweep GRID="…" sets them."""


class Config(Settings):
    """Everything that decides a run, under one roof."""

    preset: str
    """The preset that this was resolved from."""
    seed: Seed = 42
    """Seed of the first member and of every shuffle but the split."""
    competition: Competition
    kernel: Kernel = Kernel()
    data: Data = Data()
    model: Model = Model()
    lora: Lora = Lora()
    prompt: Prompt = Prompt()
    train: Train = Train()
    predict: Predict = Predict()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()

    @model_validator(mode="before")
    @classmethod
    def _use_the_whole_machine(cls, values: dict[str, object]) -> dict[str, object]:
        kernel, run = values.get("kernel", {}), values.get("run", {})
        name = kernel.get("accelerator", DEFAULT) if isinstance(kernel, dict) else ""
        if name not in ACCELERATORS or not isinstance(run, dict):
            return values  # refused below, by name
        lent = ACCELERATORS[name].cards
        return {**values, "run": {"cards": lent, "members": max(1, lent), **run}}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        run, prompt, templates = self.run, self.prompt, self.predict.templates
        lent, bin_tokens = ACCELERATORS[self.kernel.accelerator].cards, self.train.pack_tokens
        template, named, texts = prompt.template, {*fields(prompt.template)}, self.competition.texts
        refuse(
            (lent and run.cards > lent, f"run.cards = {run.cards}, and {self.kernel.accelerator} has {lent}"),
            (
                self.train.packing and 0 < bin_tokens < self.model.max_row_tokens,
                f"model.max_row_tokens = {self.model.max_row_tokens} exceeds "
                f"train.pack_tokens = {bin_tokens}, and packing would cut the label off",
            ),
            (len({*run.grid}) < len(run.grid), f"run.grid = {list(run.grid)} holds a point twice"),
            (
                len({prompt.style, *templates}) <= len(templates),
                f"predict.templates = {list(templates)} would count a style twice; the rows are "
                f"scored under prompt.style = {prompt.style!r} anyway",
            ),
            (
                template and named - ({"language"} if prompt.language else set()) != {*texts},
                f"prompt.template has {', '.join(fields(template)) or 'no field'} in braces; "
                f"competition.text is {', '.join(texts)}",
            ),
            (
                template and not template.rpartition("}")[2].strip(),
                "prompt.template must end with words that ask for the answer, as ### Winner: does",
            ),
            (
                prompt.language and not self.competition.language,
                "prompt.language = true needs competition.language, the column that holds it",
            ),
        )
        return self


SWEPT = ("train.", "prompt.", "predict.", "seed", "lora.alpha", "lora.rslora")
"""What may differ between points of a sweep, which share a loaded base model and its adapter's shape."""


def schema_names(model: type[BaseModel] = Config, prefix: str = "") -> dict[str, str]:
    """Return every setting's dotted name and its documentation, in the order of definition."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= schema_names(field.annotation, f"{prefix}{name}.")
        else:
            names[prefix + name] = field.description or ""
    return names
