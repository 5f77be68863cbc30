# `make` or `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
# The first Python of at least 3.11 on the PATH; `make PYTHON=/path/to/python …` chooses another.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$candidate; break; }; done)
BIN := .venv/bin
# What django-htmx asks for, of which only htmx's own file is used.
LEFT_OUT := --no-emit-package django --no-emit-package asgiref --no-emit-package sqlparse

.PHONY: help up clean-data test test-slow-start histories simulate crashes fuzz faults-smoke faults faults-planted check fmt protos protos-release schema messages lock bench-smoke environment environment-dev

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: environment ## Run a whole network on this machine until Ctrl-C
	@exec $(BIN)/kodama up

clean-data: environment ## Delete all data of the local network
	@$(BIN)/kodama clean-data

test: environment-dev ## Run all tests, each process on a PostgreSQL and RabbitMQ of its own
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

histories: environment-dev ## Let the timelines' state machine live 1,000 histories (about 10 minutes)
	@KODAMA_MACHINE_EXAMPLES=1000 $(BIN)/python -m pytest -q --timeout 3600 -k exact tests/integration/timeline/test_machine.py

simulate: environment-dev ## Simulate 1,000,000 schedules of ledgers, relays and home timelines in memory
	@$(BIN)/python -m tests.simulation

test-slow-start: environment-dev ## Start a network on a fifth of one core (about half an hour)
	@$(BIN)/python -m pytest -q --timeout 7200 tests/system/slow_start.py

crashes: environment-dev ## Let processes die after every exchange with PostgreSQL of every write and task (about 3 minutes)
	@KODAMA_CRASHES=all $(BIN)/python -m pytest -q tests/integration/crashes

fuzz: environment-dev ## Send 100,000 requests that nobody would send (about 20 minutes)
	@KODAMA_FUZZ_CASES=100000 $(BIN)/python -m pytest -q tests/fuzz

faults-smoke: environment-dev ## Break a network in many ways for three minutes, and see that it has kept everything
	@$(BIN)/python -m tests.faults --minutes 0 --json faults-smoke.json

faults: environment-dev ## The same for 30 minutes, with 500 kills; SEED=2 MINUTES=10 choose another run
	@$(BIN)/python -m tests.faults --seed $(or $(SEED),1) --minutes $(or $(MINUTES),30) --json faults.json

faults-planted: environment-dev ## Plant a dozen defects into a network, one by one, and see each found (about 15 minutes)
	@$(BIN)/python -m tests.faults --planted all --json faults-planted.json

check: environment-dev ## Lint, types, import rules, protos, docs
	@$(BIN)/ruff format --check --quiet . || { echo 'Run make fmt.'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code >/dev/null && ../$(BIN)/buf breaking --against released.binpb
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/python -m pytest -q tests/architecture
	@echo 'All checks passed.'

fmt: environment-dev ## Format the code and the protos
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet . || true
	@cd protos && ../$(BIN)/buf format --write

protos: environment-dev ## Generate protos/gen from the protos
	@$(BIN)/python protos/generate.py

protos-release: environment-dev ## Make the protos of now the ones that must not be broken
	@cd protos && ../$(BIN)/buf build --output released.binpb

schema: environment-dev ## Write every service's schema.sql from its migrations
	@$(BIN)/python -m deploy.schema --write

messages: environment-dev ## Collect the pages' sentences for their translation into Japanese
	@$(BIN)/python -m deploy.messages --write

bench-smoke: environment-dev ## Measure statuses, deliveries and home reads beside PostgreSQL itself
	@$(BIN)/python -m benchmarks.smoke

lock: ## Pin the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra build --universal --generate-hashes --no-header --python-version 3.11 --quiet --upgrade $(LEFT_OUT) --output-file requirements/dev.lock
	uv pip compile pyproject.toml --extra build --universal --generate-hashes --no-header --python-version 3.11 --quiet --constraint requirements/dev.lock $(LEFT_OUT) --output-file requirements/runtime.lock

environment:
	@test -n '$(PYTHON)' || { echo 'Kodama needs Python 3.11 or newer; none is on the PATH.' >&2; exit 1; }
	@'$(PYTHON)' deploy/environment.py runtime

environment-dev:
	@test -n '$(PYTHON)' || { echo 'Kodama needs Python 3.11 or newer; none is on the PATH.' >&2; exit 1; }
	@'$(PYTHON)' deploy/environment.py dev
