# SeqPulse. `make` lists the targets. Every target does the set-up it needs; a second run is fast.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
HEAVY := $(VENV)/.heavy
CODE := analytics api core dashboards demo ingest scheduler sql seqpulse_gate.py
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup demo test test-all java check lint format schema dashboards run bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with the locked dependencies

$(STAMP): requirements.lock pyproject.toml Makefile
	@set -e; \
	for py in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$py" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$py; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "setup: no Python >= 3.11 with venv found; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "setup: creating $(VENV) with $$($$found --version)"; \
	"$$found" -m venv --clear $(VENV); \
	echo "setup: installing the locked dependencies (about a minute the first time)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	touch $(STAMP); \
	echo "setup: done"

demo: $(STAMP) ## watch SeqPulse judge four real releases of a real service
	@$(BIN)/seqpulse demo

test: $(STAMP) ## the whole test suite, on a private TimescaleDB per processor (two at most)
	@echo "test: unit, integration and acceptance tests on private TimescaleDBs (about a quarter of an hour)"
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile $(ARGS)

test-all: java $(HEAVY) test ## the suite, and Apache Spark on the archive (needs Java; 250 MB of packages, once)
	@$(BIN)/python -m pytest -n0 tests/engines/spark.py

java:
	@command -v java >/dev/null || { \
	  echo "test-all: Spark needs a Java runtime, 17 or newer: apt-get install default-jre-headless" >&2; exit 1; }

$(HEAVY): requirements-heavy.lock $(STAMP)
	@echo "test-all: installing Spark, Arrow and pandas into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-heavy.lock
	@touch $(HEAVY)

check: lint ## format, lint, types, imports and unit tests, in about a minute
	@$(BIN)/python -m pytest -q tests/unit

lint: $(STAMP) ## format, lint, types and imports
	@$(BIN)/ruff format --check $(CODE) tests
	@$(BIN)/ruff check $(CODE) tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## rewrite the code in the house format
	@$(BIN)/ruff check --fix-only $(CODE) tests
	@$(BIN)/ruff format $(CODE) tests

schema: $(STAMP) ## write sql/schema.sql and docs/sql.md anew, after a new migration or recipe
	@$(BIN)/python -P -m sql.schema > sql/schema.sql.new && mv sql/schema.sql.new sql/schema.sql
	@$(BIN)/python -P -m sql.handbook > docs/sql.md.new && mv docs/sql.md.new docs/sql.md

dashboards: $(STAMP) ## write dashboards/grafana/*.json anew, after a change of a board
	@$(BIN)/python -P -m dashboards.build

run: $(STAMP) ## run SeqPulse on this machine: database, API and worker
	@$(BIN)/seqpulse up

bench: $(STAMP) ## run every benchmark, one JSON line each
	@for file in tests/benchmarks/*.py; do \
	  [ -e "$$file" ] || { echo "bench: no benchmarks yet"; exit 0; }; \
	  echo "bench: $$file"; $(BIN)/python -P "$$file" || exit 1; \
	done

lock: $(STAMP) ## resolve the dependencies anew (needs `uv`)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --upgrade --extra dev pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --upgrade --constraint requirements.lock \
	  --group heavy -o requirements-heavy.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --constraint requirements.lock \
	  --group image pyproject.toml -o requirements-image.lock

clean: ## remove .venv and every cache of this folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
