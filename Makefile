# `make demo` runs one small study and prints its report; `make serve` keeps the service running. `make help` lists all.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help demo serve test test-slow soak acceptance lint clean
.DELETE_ON_ERROR:

help:  ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(STAMP)  ## Run a small study from start to report, on a service of its own
	@$(BIN)/python -m service.cli.demo

serve: $(STAMP)  ## Run the service until Ctrl-C
	@$(BIN)/python -m service.cli.serve

test: $(STAMP)  ## Run the tests, but for those that need minutes or a GPU
	$(BIN)/python -m pytest -q -m "not slow and not gpu and not docker"

test-slow: $(STAMP)  ## Run the tests that train for minutes on real data
	$(BIN)/python -m pytest -q -m "slow and not gpu and not docker"

soak: $(STAMP)  ## Kill the parts of a service at random moments while it trains a study
	$(BIN)/python -m pytest -q -m slow tests/integration/test_faults.py

acceptance: $(STAMP)  ## Build the images, and try docker-compose.yml out on an engine of this machine
	$(BIN)/python -m pytest -v --durations=10 -m docker tests/acceptance

lint: $(STAMP)  ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:  ## Remove the environment and everything that was made, studies included
	rm -rf .venv out *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Written last, so that an install that was interrupted is taken up again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "make: this needs Python 3.11; install it or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making the Python environment in .venv (once; some minutes, about 2 GB)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev]' \
		| sed -un 's/^ *Downloading \(.*([0-9]\{2,\}.* MB)\)/  downloading \1/p; s/^Installing collected.*/  installing/p'
	@touch $@
	@echo "Environment ready"
