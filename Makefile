# Everything sets itself up: virtual environment, locked dependencies, the broker's jars. Once; a later run finds them.
#
#   make demo    the whole pipeline on a real broker, in your terminal
#   make test    every test, those on a real broker included
#   make check   format, lint, strict types, and the tests that need no broker

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_VENV := .atp/bench-venv
BENCH_READY := $(BENCH_VENV)/.ready
LOCK_VENV := .atp/lock-venv
COMPILED := .atp/compiled
TESTS ?=
PYTEST ?= $(BIN)/pytest
# Where a machine has no bytecode of the dependencies yet, pip writes it while it installs; it takes its time and says so.
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: help setup jars demo test check gates year up down status bench compiled lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) jars ## Virtual environment, locked dependencies, the broker's jars

demo: setup ## A retail day through the pipeline, live in the terminal
	@$(BIN)/atp demo

test: setup gates ## Everything: gates, and all tests, those on a real broker included
	$(PYTEST) $(TESTS)

check: $(READY) gates ## Format, lint, strict types, tests without a broker
	$(PYTEST) -m "not broker" $(TESTS)

gates: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

year: setup ## A retailer's whole year, every proof of it, with its times (the file: ATP_REAL_YEAR)
	ATP_REAL_YEAR_LINES=0 $(PYTEST) -s tests/real_year

up: setup ## Start a broker (ATP_BROKERS, Docker Compose, or local Java) and create the topics
	@$(BIN)/atp up

down: $(READY) ## Stop what `make up` started
	@$(BIN)/atp down

status: $(READY) ## Which broker is in use
	@$(BIN)/atp status

bench: $(BENCH_READY) jars ## Events per second beside plain Faust and Quix Streams, on the same broker
	@$(BIN)/atp bench --quix $(BENCH_VENV)/bin/python

compiled: $(COMPILED)/setup.py ## The fold as machine code: a third less time for a sale (C compiler, minutes)
	@echo "run with it: export PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(COMPILED)"

$(COMPILED)/setup.py: ops/compile.py $(shell find atp avro_schemas topologies streams sinks cli oracle -type f -not -name "*.pyc") | $(READY)
	@$(BIN)/python ops/compile.py $(COMPILED)

lock: $(LOCK_VENV)/.ready ## Write the locks anew; UPGRADE=--upgrade takes newer versions
	$(LOCK_VENV)/bin/python ops/lock.py $(UPGRADE)

clean: ## Delete the environments and all local state, broker data included
	-@[ ! -x $(BIN)/atp ] || $(BIN)/atp down
	-@[ ! -x $(BIN)/atp ] || ATP_HOME=.atp/demo $(BIN)/atp down
	rm -rf $(VENV) .atp .mypy_cache .ruff_cache .pytest_cache .hypothesis

jars: $(READY)
	@$(BIN)/python -m streams.kafka_local

$(READY): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed. Install it, or: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11. Install a newer one, or: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up $(VENV): locked dependencies, about 660 MB on disk, once ..." >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) install --require-hashes -r requirements.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH_READY): ops/bench/requirements.lock pyproject.toml | $(READY)
	@echo "setting up $(BENCH_VENV): Quix Streams beside our own dependencies, once ..." >&2
	@[ -x $(BENCH_VENV)/bin/python ] || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(PIP) install --require-hashes -r ops/bench/requirements.lock
	@$(BENCH_VENV)/bin/python $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(LOCK_VENV)/.ready:
	@$(PYTHON) -m venv $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python $(PIP) install pip-tools
	@touch $@
