# fakelens: every task a developer or a newcomer runs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup browser demo test test-slow quality format bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv, with the `fakelens` command in it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fakelens needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say PYTHON=python3.12 (or another) after make.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup ## make the sample, train about a minute, evaluate, write a Hub-ready folder, classify four images
	$(BIN)/python scripts/demo.py

test: setup ## the default test run, offline
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-slow: setup ## the tests that `make test` leaves out; CI runs both
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow

browser: setup ## for the browser tests: Chromium (with apt-get, as root) and onnxruntime-web; needs Node.js
	apt-get update && apt-get install -y --no-install-recommends chromium
	npm --prefix space/browser ci --ignore-scripts --no-audit --no-fund

quality: setup ## lint (docstring arguments against signatures too), format, types, layers, words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/words.py

format: setup ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## print the ratios that the README quotes, measured side by side (not benchmarks/flagship, which wants data)
	@for f in $(wildcard benchmarks/*.py); do echo "== $$f"; $(BIN)/python $$f || exit 1; done

clean: ## remove the environment, caches and runs
	rm -rf $(VENV) runs build .pytest_cache .mypy_cache .ruff_cache modeling/*.egg-info
