# `make` lists what there is. Needs Python 3.11 or newer with its venv module, make and a C compiler.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Each stands for a set of extras: what runs the quickstart, what all notebooks need on top, and what the tests.
FOR_DEMO := $(VENV)/.installed-notebooks
FOR_LAB := $(VENV)/.installed-lab
FOR_DEV := $(VENV)/.installed-dev
QUICKSTART := notebooks/01_quickstart.ipynb
# An option only when there is something for it: git keeps no empty folder, and nbval wants a path.
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
NBVAL := $(if $(NOTEBOOKS),--nbval-lax --nbval-current-env $(NOTEBOOKS))
PYTEST := $(BIN)/python -m pytest
# In so many processes; tests/conftest.py says which tests stay together.
WORKERS ?= 2
PARALLEL := -n $(WORKERS)
# JupyterLab refuses to run as root, as which containers run, unless it is told to.
ROOT_TOO := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: help demo test lab lint thorough bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(FOR_DEMO)  ## run the quickstart notebook without a browser and print its results
	@$(BIN)/python tools/run_notebook.py $(QUICKSTART)

test: $(FOR_DEV)  ## run the tests and every notebook
	@$(PYTEST) $(PARALLEL) tests $(NBVAL)

lab: $(FOR_LAB)  ## open JupyterLab on the quickstart
	@$(BIN)/python -m jupyterlab $(ROOT_TOO) $(QUICKSTART)

lint: $(FOR_DEV)  ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

thorough: $(FOR_DEV)  ## the tests with many more random cases (an hour or more)
	@$(PYTEST) $(PARALLEL) tests --thorough --timeout 7200

bench: $(FOR_DEV)  ## run every benchmark
	@for script in $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)); do \
	    echo "== $$script"; $(BIN)/python "$$script"; \
	done

clean:  ## remove the virtual environment, caches and build results; stored data stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than pyproject.toml exactly when the environment has what it asks for.
$(VENV)/.installed-%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "Python's venv module is missing: apt install python3-venv (or make PYTHON=<another python>)"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version); the first time takes a minute or two after the download"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --editable '.[$*]' 2>&1 \
	    | tee $(VENV)/install.log \
	    | awk '/^(Collecting|Processing|Requirement)/ {printf "."; fflush()} \
	           /^Installing collected/ {printf "\n%d packages to install\n", gsub(",", ",") + 1; fflush()} \
	           /^(ERROR|error)/ {printf "\n%s\n", $$0}' \
	    || { tail -n 20 $(VENV)/install.log; exit 1; }
	@touch $@
