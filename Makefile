# Two commands do everything on a machine that has Python 3.11+ and make: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install train test test-slow drill lint format bench bench-gpu clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deepcrl needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(INSTALLED)  ## make .venv with the pinned dependencies

train: install  ## train a robot arm to hold its hand at any goal: two minutes, then a video
	$(BIN)/deepcrl train experiment=arm_reach

test: install  ## run all tests but the slow ones, a file at a time on each of up to four cores
	$(BIN)/python -m pytest -m 'not slow' -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: install  ## MuJoCo Warp against MuJoCo on every kind of task, a time limit of SLURM: minutes
	$(BIN)/python -m pytest -m slow

drill: install  ## kill, damage and mistype runs, hundreds of times: about 20 minutes, and a table of what held
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.drill

lint: install  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: install  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## env steps/s on ant, learning included
	$(BIN)/deepcrl bench train
	$(BIN)/deepcrl bench env_step

bench-gpu:  ## the gradient step and the kernels on this machine's GPU, with PYTHON's own PyTorch
	PYTHONPATH=. $(PYTHON) benchmarks/gpu.py --json benchmarks/results/gpu.jsonl

clean:  ## remove .venv and caches; runs stay
	rm -rf $(VENV) .pytest_cache .ruff_cache dist build
