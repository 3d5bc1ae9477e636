"""Every setting of the kit: typed, frozen, with its default and its meaning.

Where values come from is `kit.config`'s business.
"""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kit.accelerators import ACCELERATORS, DEFAULT
from kit.task.metrics import METRICS
from kit.task.prompt import STYLES, fields

LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**31)]


def _one_of(names: Iterable[str]) -> AfterValidator:
    """Accept the names of a table's rows only, and name the nearest to another."""
    known = list(names)

    def check(name: str) -> str:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"there are {', '.join(known)}{hint}")
        return name

    return AfterValidator(check)


PromptStyle = Annotated[str, _one_of(STYLES)]
MetricName = Annotated[str, _one_of(METRICS)]


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown names and wrong types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Competition(Settings):
    """What the competition asks; another competition of this kind changes only these."""

    slug: str
    """The last part of the competition's address on Kaggle."""
    kind: Literal["csv", "code"] = "csv"
    """What it takes: a `csv`, or `code`, a kernel version that Kaggle runs again on hidden rows."""
    rerun_minutes: Annotated[float, Field(gt=0)] = 540.0
    """How long that may take, by the competition's page; the API does not tell it."""
    id: str = "id"
    """Column of test.csv that names the row; empty where there is none and rows are numbered from 0."""
    text: str | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = "text"
    """Column that holds the text, or a list of several columns."""
    label: str = "label"
    """Column of train.csv that holds the label."""
    language: str = ""
    """Column that holds the sentence's language; empty where there is none."""
    labels: Annotated[tuple[str, ...], Field(min_length=2, strict=False)]
    """Every label, spelled as the submission must spell it."""
    synonyms: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = {}
    """Other words a model may answer with, by the label that they mean."""
    metric: MetricName = "macro_f1"
    """What the competition ranks by; `qwk` takes the labels in their order."""
    submission: Literal["label", "probability", "probabilities", "ranking"] = "label"
    """What a row gives: its label, the probability of the one written `1`, one of each, or the likeliest."""
    submission_id: str = ""
    """The submission's id column; empty takes the sample submission's, or `id` where there is none."""
    submission_label: str = ""
    """The submission's label column; empty takes the sample submission's, or `label` where there is none."""
    submission_values: dict[str, str] = {}
    """What the submission writes for a label, or calls its column, where that is another word."""
    encoding: str = "utf-8"
    """Encoding of train.csv and test.csv; make init finds UTF-8, UTF-16 and cp1252."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What separates the fields of train.csv and test.csv."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError("Python knows no such encoding") from None

    @field_validator("labels")
    @classmethod
    def _labels_are_apart(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        label_by_key: dict[str, str] = {}
        for label in labels:
            key = spelling_key(label)
            if not key:
                raise ValueError("a label is blank")
            if key in label_by_key:
                raise ValueError(f"{label_by_key[key]!r} and {label!r} are one label; keep one of them")
            label_by_key[key] = label
        return labels

    @field_validator("submission_values")
    @classmethod
    def _values_are_of_labels(cls, values: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        labels = info.data.get("labels", values)
        if not values.keys() <= set(labels):
            raise ValueError("not each name is a label")
        if len({values.get(label, label) for label in labels}) < len(labels):
            raise ValueError("two labels would be written alike")
        return values

    @property
    def texts(self) -> tuple[str, ...]:
        """Every column of text."""
        return (self.text,) if isinstance(self.text, str) else self.text

    def word(self, label: str) -> str:
        """Return what a model is taught to say for a label: where all are numbers, words if all have some."""
        is_numbers = all(re.fullmatch(r"[-+]?\d+(\.\d+)?", one) for one in self.labels)
        return self.synonyms[label][0] if is_numbers and all(map(self.synonyms.get, self.labels)) else label

    @model_validator(mode="after")
    def _submission_can_be_written(self) -> Competition:
        written = [self.written(label) for label in self.labels]
        if self.submission == "probability" and "1" not in written:
            raise ValueError(
                "competition.submission = 'probability' is of the label that is written 1, and none is; "
                f"submission_values = {{ {self.labels[0]} = '0', {self.labels[1]} = '1' }} names it"
            )
        if self.submission == "ranking" and any(len(word.split()) > 1 for word in written):
            raise ValueError("competition.submission = 'ranking' needs submission_values without blanks")
        return self

    @property
    def places(self) -> int:
        """How many labels a ranking names."""
        return int(self.metric.partition("@")[2] or 3)

    def written(self, label: str) -> str:
        """Return what the submission writes for a label."""
        return self.submission_values.get(label, label)

    def spelling_of(self, text: str) -> str:
        """Return the label that `text` is, in another case, with blanks or as a float too, or nothing."""
        if text in self.labels:
            return text
        key = spelling_key(text)
        return next((label for label in self.labels if key and spelling_key(label) == key), "")


def spelling_key(label: str) -> str:
    """Return what all spellings of a label share: case, blanks, `_`, Unicode form and `.0` do not count."""
    words = re.sub(
        r"(?<=\S)[\s_-]+(?=\S)", " ", unicodedata.normalize("NFC", label[:1000]).strip().casefold()
    )
    return re.sub(r"(?<=\d)\.0+$", "", words) if words[-1:] == "0" else words


class Kernel(Settings):
    """How Kaggle runs the script."""

    title: str = Field(default="Sentiment QLoRA", min_length=5)
    """The kernel's title; its slug is made from it, with the preset's name behind it."""
    accelerator: Annotated[str, _one_of(ACCELERATORS)] = DEFAULT
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
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w.-]+/[\w.-]+/\d+)?", name):
        forms = "owner/name on Hugging Face or owner/model/framework/variation/2 on Kaggle"
        raise ValueError(f"model.name = {name!r} is not written {forms}")
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
    def _use_the_whole_machine(cls, values: Any) -> Any:
        kernel, run = values.get("kernel", {}), values.get("run", {})
        name = kernel.get("accelerator", DEFAULT) if isinstance(kernel, dict) else ""
        if name not in ACCELERATORS or not isinstance(run, dict):
            return values  # refused below, by name
        lent = ACCELERATORS[name].cards
        return {**values, "run": {"cards": lent, "members": max(1, lent), **run}}

    @model_validator(mode="after")
    def _cards_are_there(self) -> Config:
        lent = ACCELERATORS[self.kernel.accelerator].cards
        if lent and self.run.cards > lent:
            raise ValueError(f"run.cards = {self.run.cards}, and {self.kernel.accelerator} has {lent}")
        return self

    @model_validator(mode="after")
    def _rows_fit_bins(self) -> Config:
        if self.train.packing and 0 < self.train.pack_tokens < self.model.max_row_tokens:
            raise ValueError(
                f"model.max_row_tokens = {self.model.max_row_tokens} exceeds "
                f"train.pack_tokens = {self.train.pack_tokens}, and packing would cut the label off"
            )
        return self

    @model_validator(mode="after")
    def _each_point_is_another(self) -> Config:
        if len(set(self.run.grid)) < len(self.run.grid):
            raise ValueError(f"run.grid = {list(self.run.grid)} holds a point twice")
        return self

    @model_validator(mode="after")
    def _prompts_are_what_they_say(self) -> Config:
        styles = (self.prompt.style, *self.predict.templates)
        if len(set(styles)) < len(styles):
            raise ValueError(
                f"predict.templates = {list(self.predict.templates)} would count a style twice; the rows are "
                f"scored under prompt.style = {self.prompt.style!r} anyway"
            )
        template, texts = self.prompt.template, {*self.competition.texts}
        if template and {*fields(template)} - ({"language"} if self.prompt.language else set()) != texts:
            raise ValueError(
                f"prompt.template has {', '.join(fields(template)) or 'no field'} in braces; "
                f"competition.text is {', '.join(self.competition.texts)}"
            )
        if template and not template.rpartition("}")[2].strip():
            raise ValueError(
                "prompt.template must end with words that ask for the answer, as ### Winner: does"
            )
        if self.prompt.language and not self.competition.language:
            raise ValueError("prompt.language = true needs competition.language, the column that holds it")
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
