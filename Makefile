# Needs Python 3.11 or newer and nothing else. `make setup` fills .venv/ from package registries.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-firms test-brokers chaos check bench bench-kills lock

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready ## .venv/ with everything the lock names

# Without bytecode compilation the set-up is a third quicker; Python compiles on first import. It is
# to keep what it has compiled, or each of the hundreds of processes of the tests would do it again.
unexport PYTHONDONTWRITEBYTECODE
.venv/.ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "passerelle needs Python 3.11 or newer: make setup PYTHON=python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--no-build-isolation --editable .
	@touch $@

# What the tests have from npm's registry: the library of a receiver of messages in another language,
# and the Compose specification's schema, which comes with a linter.
JS := tests/support/js
$(JS)/node_modules/.ready: $(JS)/package-lock.json .venv/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix $(JS) ci --silent
	@touch $@

demo: setup ## the main job from end to end, in two minutes
	$(BIN)/passerelle demo

test: setup $(JS)/node_modules/.ready ## every test, against servers it starts itself
	$(BIN)/python -m pytest

test-firms: setup ## the e2e tests with a twin for each firm: same folders, same entries
	TWO_FIRMS=1 $(BIN)/python -m pytest tests/e2e

test-brokers: setup $(JS)/node_modules/.ready ## e2e, short chaos on TEST_REDIS_URL, TEST_RABBITMQ_URL, TEST_POSTGRES_URL
	PYTHONPATH=tests $(BIN)/python -m brokers.passes

chaos: setup ## 50 seeds of every fault and many kills, an hour; CHAOS="--seeds 1 --first-seed 7"
	PYTHONPATH=tests $(BIN)/python -m chaos $(CHAOS)

check: setup ## formatter, linter, types, import order
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## ratios against what people would write instead
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.intake
	$(BIN)/python -m benchmarks.idle
	$(BIN)/python -m benchmarks.beside
	$(BIN)/python -m benchmarks.fec
	$(BIN)/python -m benchmarks.outage
	$(BIN)/python -m benchmarks.night
	$(BIN)/python -m benchmarks.refusal
	$(BIN)/python -m benchmarks.preflight
	$(BIN)/python -m benchmarks.telling
	$(BIN)/python -m benchmarks.watching

bench-kills: setup ## what 200 kills of intake's worker lose, ten minutes; KILLS="--kills 20 --seed 7"
	$(BIN)/python -m benchmarks.kills $(KILLS)

lock: ## resolve the pins anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --extra embedded --group dev pyproject.toml --output-file requirements-dev.lock
