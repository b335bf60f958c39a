# `make demo` runs one small study and prints its report; `make serve` keeps the service running. `make help` lists all.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help demo serve check test-quick test test-slow test-all soak acceptance lint clean
.DELETE_ON_ERROR:

help:  ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(STAMP)  ## Run a small study from start to report, on a service of its own
	@$(BIN)/python -m service.cli.demo

serve: $(STAMP)  ## Run the service until Ctrl-C
	@$(BIN)/python -m service.cli.serve

# Two processes run the tests, a file at a time, so that the tests of a file share what its fixtures start.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(STAMP)  ## Run what each commit must pass: lint and the quick unit tests, side by side
	@$(MAKE) --no-print-directory -j 2 --output-sync=target lint test-quick

test-quick: $(STAMP)
	$(BIN)/python -m pytest -q -m "not slow and not soak and not gpu and not postgres and not heavy" tests/unit

test: $(STAMP)  ## Run the tests, but for those that are slow, or need PostgreSQL, Docker or a GPU
	$(PYTEST) -m "not slow and not postgres and not soak and not gpu and not docker"

test-slow: $(STAMP)  ## Run the slow tests: faults, browsers, whole studies, PostgreSQL, training on real data
	$(PYTEST) -m "(slow or postgres) and not soak and not gpu and not docker"

test-all: test test-slow  ## Run both

soak: $(STAMP)  ## Run the tests that take many minutes each: kills at random moments, 20,000 requests, the largest networks
	$(BIN)/python -m pytest -q -m "soak and not gpu"

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
