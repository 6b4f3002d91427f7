# `make` alone prints the targets. Nothing here compares file times: a clone gives every file the same age.
PYTHON  ?= $(if $(filter Windows_NT,$(OS)),python,python3)
PROFILE ?= auto
PHOTOS  ?=
SEEDS   ?=
FORCE   ?=
TRAIN   ?=
RETRAIN ?=
TORCH   ?=
VENV    := .venv
BIN     := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN     := $(BIN)/python -m colorlib
OPTIONS  = --profile $(PROFILE) $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FORCE),--force) $(if $(filter no,$(TRAIN)),--no-training)
# Remembered, so that a later `make` does not replace the small build by the large one.
TORCH   := $(or $(TORCH),$(shell cat $(VENV)/torch 2>/dev/null),default)
export COLORLIB_DATA
# Threads that wait sleep: the same bytes, and two processes on one machine no longer slow each other down (results/LOG.md).
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help setup install lock doctor reproduce figure1 figures2_3 table1 peers report sweep claims verify paper readme bench lab check test clean clean-runs clean-all

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "settings: PROFILE=auto|smoke|cpu|paper  PHOTOS=name  SEEDS=0,1,2  FORCE=1  TRAIN=no (take runs from elsewhere)  RETRAIN=1 (verify)  TORCH=cpu (setup: the small build, Linux)"

setup: ## .venv from requirements.txt, with colorlib in it
	@(echo $(TORCH); cat requirements.txt pyproject.toml) | cmp -s - $(VENV)/installed || $(MAKE) --no-print-directory install

install:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; name another: make PYTHON=python3.12")'
	@# Without pip it was left half-made, by an interruption or a Python that comes without its venv package.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo $(TORCH) > $(VENV)/torch
	@echo "installing the packages of requirements.txt into $(VENV) (some minutes)"
ifeq ($(TORCH),cpu)
	@# uv knows where PyTorch's CPU builds are; the CUDA libraries are left out of the list.
	$(BIN)/python -m pip install --quiet $$(grep '^uv==' requirements.txt)
	grep -vE '^(nvidia-|cuda-|triton==)' requirements.txt > $(VENV)/requirements-cpu.txt
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend cpu -r $(VENV)/requirements-cpu.txt
else
	$(BIN)/python -m pip install --quiet -r requirements.txt
endif
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@(echo $(TORCH); cat requirements.txt pyproject.toml) > $(VENV)/installed

lock: setup ## update requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --upgrade \
		--extra companion --extra cluster --extra dev pyproject.toml -o requirements.txt

doctor: setup ## this machine, and how long each profile takes on it
	@$(RUN) doctor

reproduce: setup ## train, draw the figures and the table, build the report
	@$(RUN) reproduce $(OPTIONS)

figure1: setup ## Figure 1: the loss curve
	@$(RUN) reproduce $(OPTIONS) --only 03_figure1

figures2_3: setup ## Figures 2-3: gray, ground truth, prediction
	@$(RUN) reproduce $(OPTIONS) --only 04_figures2_3

table1: setup ## Table I: MSE and PSNR, with baselines
	@$(RUN) reproduce $(OPTIONS) --only 05_table1

report: setup ## the HTML report
	@$(RUN) reproduce $(OPTIONS) --only report

peers: setup ## other people's colorizers on the same photographs
	@$(RUN) reproduce $(OPTIONS) --only 06_peers

sweep: setup ## a notebook at many points: SWEEP=outlook, learning_rate, … (PROFILE, else cpu)
	@$(RUN) sweep $(or $(SWEEP),outlook) --profile $(or $(filter-out auto,$(PROFILE)),cpu) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(DRY),--dry-run)

claims: setup ## every claim of the paper and its verdict (PROFILE, else paper)
	@$(RUN) claims --profile $(or $(filter-out auto,$(PROFILE)),paper) $(if $(SEEDS),--seeds $(SEEDS))

verify: setup ## check that the committed results still follow from the code (RETRAIN=1: retrain)
	@$(RUN) verify $(if $(filter-out auto,$(PROFILE)),--profile $(PROFILE)) $(if $(RETRAIN),--retrain)

paper: setup ## the article as PDF, from results/
	@$(RUN) paper --profile $(or $(filter-out auto,$(PROFILE)),paper)

readme: setup ## the generated parts of README.md, from results/
	@$(RUN) readme

bench: setup ## speed against the bare network and plain code (25 minutes on an idle machine)
	@$(BIN)/python tests/bench

lab: setup ## JupyterLab on notebooks/
	@# Kernels start in notebooks/: a relative COLORLIB_DATA would point elsewhere there. Uploads come in one message each.
	@if [ -n "$$COLORLIB_DATA" ]; then COLORLIB_DATA=$$(cd "$$COLORLIB_DATA" && pwd); fi; $(BIN)/jupyter lab notebooks --ServerApp.tornado_settings='{"websocket_max_message_size": 1000000000}'

check: setup ## lint, types and the quick tests: under a minute
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
	$(BIN)/python -m pytest -q -m "not gpu and not network" -n auto --dist loadfile --no-loadscope-reorder --durations=10

clean: ## delete caches and half-done copies
	rm -rf .pytest_cache .ruff_cache .mypy_cache build *.egg-info
	find colorlib tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

clean-runs: clean ## also local runs, checkpoints and stamps; never committed files
	git clean -fdXq -- results figures

clean-all: clean-runs ## also .venv
	rm -rf $(VENV)
