# fakelens: every task a developer or a newcomer runs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The versions that the tests were green with; empty for the newest that pyproject.toml allows.
LOCK := requirements/constraints.txt
LATEST := .venv-latest

# Paths are relative, so that a checkout may lie in a folder with a space in its name.
.DEFAULT_GOAL := help
.PHONY: help setup lock browser demo test test-slow test-latest quality format bench docs release-dry-run clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv at the locked versions, with the `fakelens` command in it

$(STAMP): pyproject.toml $(LOCK)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fakelens needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say PYTHON=python3.12 (or another) after make.")'
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(LOCK:%=--constraint %) --editable '.[dev]'
	@touch $@

lock: ## write the versions installed in .venv into the lock; `make lock VENV=.venv-latest` takes test-latest's
	@test -x $(BIN)/pip || { echo "There is no $(VENV) to take versions from; run make setup or make test-latest first." >&2; exit 1; }
	@$(BIN)/pip freeze --disable-pip-version-check --all --exclude-editable --exclude fakelens --exclude pip > $(VENV)/versions
	@{ echo "# The versions that the tests were green with, as constraints of pip. Written by \`make lock\`; do not edit."; \
	  echo "# $$($(BIN)/python --version) on $$(uname -sm)"; LC_ALL=C sort -f $(VENV)/versions; } > $(LOCK)

demo: setup ## make the sample, train about a minute, evaluate, write a Hub-ready folder, classify four images
	$(BIN)/fakelens demo

test: setup ## the default test run, offline
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-slow: setup ## the tests that `make test` leaves out; CI runs both
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow

test-latest: ## `make test` with the newest version of every library, in an environment of its own
	rm -rf $(LATEST)
	$(MAKE) test VENV=$(LATEST) LOCK=

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

bench: setup ## print the ratios that the docs quote, measured side by side (not its folders, which want data)
	@for f in $(wildcard benchmarks/*.py); do echo "== $$f"; $(BIN)/python $$f || exit 1; done

docs: setup ## build the pages of docs/ into build/release/docs, those of verbs and recipe keys from the code
	$(BIN)/mkdocs build --strict

release-dry-run: docs ## build wheel, source distribution, docs and Space into build/release, and publish nothing
	rm -rf build/release/dist build/release/space
	$(BIN)/python -m build --outdir build/release/dist .
	$(BIN)/python scripts/publish.py --space true --repo-id fakelens/fakelens --dry-run build/release/space
	@ls build/release/*

clean: ## remove the environment, caches and runs
	rm -rf $(VENV) $(LATEST) runs build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache modeling/*.egg-info
