# `make` alone prints the targets. Nothing here compares file times: a clone gives every file the same age.
.NOTPARALLEL:
PYTHON  ?= $(if $(filter Windows_NT,$(OS)),python,python3)
PROFILE ?= auto
PHOTOS  ?=
SEEDS   ?=
FORCE   ?=
TRAIN   ?=
RETRAIN ?=
QUICK   ?=
LAB     ?=
TORCH   ?=
VENV    := .venv
BIN     := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN     := $(BIN)/python -m colorlib
# A value as one word of the shell, whatever is in it.
quote    = '$(subst ','\'',$(1))'
OPTIONS  = --profile $(call quote,$(PROFILE)) $(if $(PHOTOS),--photos $(call quote,$(PHOTOS))) $(if $(SEEDS),--seeds $(call quote,$(SEEDS))) $(if $(FORCE),--force) $(if $(filter no,$(TRAIN)),--no-training)
# Remembered, so that a later `make` does not replace the small build by the large one.
TORCH   := $(or $(TORCH),$(shell cat $(VENV)/torch 2>/dev/null),default)
# What decides whether .venv must be installed again; a moved or copied checkout has another folder.
STAMP    = (echo $(call quote,$(CURDIR)); echo $(call quote,$(TORCH)); cat requirements.txt pyproject.toml)
MISTYPED := $(strip $(foreach name,profile photos seeds force train retrain quick lab torch sweep python,$(if $(filter command line,$(origin $(name))),$(name))))
ifneq ($(MISTYPED),)
$(error $(MISTYPED): settings are written in capitals, for example `make reproduce PROFILE=cpu`)
endif
export COLORLIB_DATA
# Waiting threads sleep: the same bytes, and two processes on one machine no longer slow each other down (results/LOG.md).
export OMP_WAIT_POLICY ?= PASSIVE
# A user's pip configuration must not send packages elsewhere than to .venv.
export PIP_USER = 0

.PHONY: help setup install lock doctor reproduce figure1 figures2_3 table1 peers report sweep pixels hints claims verify page paper readme bench campaign lab check test clean clean-runs clean-all

help:
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z0-9_-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nsettings\n  PROFILE=auto|smoke|cpu|paper|…  PHOTOS=name  SEEDS=0,1,2  FORCE=1  TRAIN=no (use the runs that exist)  RETRAIN=1 QUICK=1 (verify)\n  SWEEP=name  DRY=1 (sweep)  LAB="--no-browser --port 9000" (lab)  TORCH=cpu (setup: the small build, Linux)\n'

## start here
setup: ## .venv from requirements.txt, with colorlib in it
	@$(STAMP) | cmp -s - $(VENV)/installed || $(MAKE) --no-print-directory install

install:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; name another: make PYTHON=python3.12")'
	@# Without pip it was left half-made, by an interruption or a Python that comes without its venv package; scripts of a moved one name the old place.
	@{ $(BIN)/python -m pip --version >/dev/null 2>&1 && [ "$$(head -n 1 $(VENV)/installed 2>/dev/null)" = $(call quote,$(CURDIR)) ]; } || $(PYTHON) -m venv --clear $(VENV)
	@echo $(call quote,$(TORCH)) > $(VENV)/torch
	@echo "installing the packages of requirements.txt into $(VENV) (some minutes)"
ifeq ($(TORCH),cpu)
	@# uv knows where PyTorch's CPU builds are. The list holds no SHA-256 of them, so these two packages alone are not compared.
	awk '/^[^ ]/ { kept = /^uv==/ } kept' requirements.txt > $(VENV)/requirements-uv.txt
	awk '/^[^ ]/ { left_out = /^(nvidia-|cuda-|triton==)/; cpu = /^(torch|torchvision)==/ } left_out || (cpu && /--hash/) { next } cpu { sub(/ *\\$$/, "") } 1' requirements.txt > $(VENV)/requirements-cpu.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r $(VENV)/requirements-uv.txt
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend cpu --verify-hashes -r $(VENV)/requirements-cpu.txt
else
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
endif
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(STAMP) > $(VENV)/installed

doctor: setup ## this machine, and how long each profile takes on it
	@$(RUN) doctor

lab: setup ## JupyterLab on notebooks/, explore.ipynb first (LAB='--no-browser', as root LAB=--allow-root)
	@# Kernels start in notebooks/: a relative COLORLIB_DATA would point elsewhere there. Uploads come in one message each.
	@if [ -n "$$COLORLIB_DATA" ]; then cd "$$COLORLIB_DATA" 2>/dev/null && COLORLIB_DATA=$$(pwd) && cd - >/dev/null || { echo "COLORLIB_DATA is $$COLORLIB_DATA, which is not a folder" >&2; exit 1; }; fi; \
	$(BIN)/jupyter lab notebooks/explore.ipynb --ServerApp.root_dir=notebooks --ServerApp.tornado_settings='{"websocket_max_message_size": 1000000000}' $(LAB)

reproduce: setup ## train, draw the figures and tables, build the report
	@$(RUN) reproduce $(OPTIONS)

verify: setup ## check that the committed results still follow from the code (RETRAIN=1: retrain; QUICK=1: half a minute)
	@$(RUN) verify $(if $(filter-out auto,$(PROFILE)),--profile $(call quote,$(PROFILE))) $(if $(RETRAIN),--retrain) $(if $(QUICK),--quick)

## one result, from the runs that exist
figure1: setup ## Figure 1: the loss curve
	@$(RUN) reproduce $(OPTIONS) --only 03_figure1

figures2_3: setup ## Figures 2-3: gray, ground truth, prediction
	@$(RUN) reproduce $(OPTIONS) --only 04_figures2_3

table1: setup ## Table I: MSE and PSNR, with baselines
	@$(RUN) reproduce $(OPTIONS) --only 05_table1

peers: setup ## other people's colorizers on the same photographs
	@$(RUN) reproduce $(OPTIONS) --only 06_peers

pixels: setup ## colors that claims are about, measured once (PROFILE, else paper; half an hour)
	@$(RUN) pixels --profile $(call quote,$(or $(filter-out auto,$(PROFILE)),paper)) $(if $(SEEDS),--seeds $(call quote,$(SEEDS)))

hints: setup ## PSNR against the number of color hints, on both networks (half an hour; goes on where it stopped)
	@$(RUN) hints

claims: setup ## every claim of the paper and its verdict (PROFILE, else paper)
	@$(RUN) claims --profile $(call quote,$(or $(filter-out auto,$(PROFILE)),paper)) $(if $(SEEDS),--seeds $(call quote,$(SEEDS))) $(if $(FORCE),--force)

report: setup ## the HTML report
	@$(RUN) reproduce $(OPTIONS) --only report

page: setup ## the page that colors a photograph in a browser: results/lightweight/colorize.html
	@$(RUN) page

paper: setup ## the article as PDF, from results/
	@$(RUN) paper --profile $(call quote,$(or $(filter-out auto,$(PROFILE)),paper))

sweep: setup ## a notebook at many points: SWEEP=outlook, learning_rate, … (PROFILE, else cpu)
	@$(RUN) sweep $(call quote,$(or $(SWEEP),outlook)) --profile $(call quote,$(or $(filter-out auto,$(PROFILE)),cpu)) $(if $(SEEDS),--seeds $(call quote,$(SEEDS))) $(if $(DRY),--dry-run)

## develop
check: setup ## lint, types, import order and the quick tests: under a minute
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test: setup ## all tests, with killed runs, executed notebooks and real photographs
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -m "not campaign and not gpu and not network" -n auto --dist loadfile --no-loadscope-reorder --durations=10

readme: setup ## the generated parts of README.md, from results/
	@$(RUN) readme

bench: setup ## speed against the bare network and plain code (25 minutes on an idle machine)
	@$(BIN)/python tests/bench

campaign: setup ## kill, damage and emulate for hours: results/campaign.md (goes on where it stopped)
	$(BIN)/python -m pytest -q -m campaign -n auto --dist loadfile --no-loadscope-reorder
	@$(BIN)/python tests/campaign.py

lock: setup ## update requirements.txt, versions with SHA-256, from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --upgrade \
		--extra companion --extra cluster --extra dev pyproject.toml -o requirements.txt

## clean up
clean: ## delete caches
	rm -rf .pytest_cache .ruff_cache .mypy_cache build *.egg-info
	find colorlib tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

clean-runs: clean ## also local runs, checkpoints and stamps; never committed files
	@git rev-parse --show-toplevel >/dev/null 2>&1 || { echo "clean-runs needs the git checkout: git knows which files are committed" >&2; exit 1; }
	git clean -fdXq -- results figures

clean-all: clean-runs ## also .venv
	rm -rf $(VENV)
