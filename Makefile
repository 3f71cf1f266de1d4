# `make demo` and `make test` do everything from a fresh clone: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AURUM_HOME ?= $(or $(shell sed -n 's/^AURUM_HOME=//p' .env 2>/dev/null),.aurum)
DAGSTER_HOME = $(abspath $(AURUM_HOME))/dagster
SIMULATOR_PORT ?= 8321
UI_PORT ?= 3000
export AURUM_HOME DAGSTER_HOME
# Where it is set, every process would compile the thousands of modules of Dagster and polars anew.
unexport PYTHONDONTWRITEBYTECODE

# Dagster's storage, as the environment or .env has it; SQLAlchemy reads postgresql:// as psycopg 3.
IN_ENV = sed -nE "s/^AURUM_DAGSTER_POSTGRES_URL=[\"']?([^\"']*)[\"']?$$/\1/p" .env 2>/dev/null
PSYCOPG2 = $(patsubst postgresql://%,postgresql+psycopg2://%,$(patsubst postgres://%,postgresql://%,$1))
override AURUM_DAGSTER_POSTGRES_URL := \
  $(call PSYCOPG2,$(or $(value AURUM_DAGSTER_POSTGRES_URL),$(shell $(IN_ENV))))
export AURUM_DAGSTER_POSTGRES_URL
# With what the environment changes of it, or what is wrong with the environment.
DAGSTER_YAML = $(BIN)/python -m aurum_assets.resources.workers

.PHONY: help setup setup-dev setup-docs demo test check docs bench prove stack tour dev worker live \
  pictures openapi schemas screens lock clean
help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

LOCK = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras \
  --python-version 3.11
# Nothing is compiled ahead: of dbt and the like only a part is ever imported.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV): installing the locked packages (about a minute)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

# What only tests and checks need: linters, and the real servers that the tests talk to.
$(VENV)/.ready-dev: $(VENV)/.ready .requirements-dev.lock
	@echo "Adding what the tests need (about a minute)…"
	@$(INSTALL) --require-hashes -r .requirements-dev.lock
	@touch $@

# What only the site needs: Sphinx, its theme and its reader of Markdown.
$(VENV)/.ready-docs: $(VENV)/.ready .requirements-docs.lock
	@echo "Adding what the site needs…"
	@$(INSTALL) --require-hashes -r .requirements-docs.lock
	@touch $@

setup: $(VENV)/.ready $(DAGSTER_HOME)/dagster.yaml
setup-dev: setup $(VENV)/.ready-dev
setup-docs: setup $(VENV)/.ready-docs

# Written anew each time: the storage may have been set or unset since.
$(DAGSTER_HOME)/dagster.yaml: FORCE
	@$(DAGSTER_YAML) $(@D)
FORCE:

demo: setup ## A simulated day and two live ticks through Dagster, then a table
	@$(BIN)/aurum demo

test: setup-dev ## The tests; those marked slow (kills, soaks, the demo, workers) are in check
	@POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -m "not slow"  # more only wait for each other

check: setup-dev ## What CI runs: ruff, mypy, all tests, the slow ones too
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest

docs: setup-docs ## The site in docs/_build: guide, reference from the code, decisions; a warning fails
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky docs docs/_build

bench: setup-dev ## Speed, beside a floor and a peer; ONLY="D L" measures some parts, QUICK=1 one round
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

prove: setup-dev ## kill -9, races, mutated payloads: the promises, counted
	@$(BIN)/python -m aurum_assets_tests.proofs

stack: setup-dev ## deploy/ as processes: an hour of ticks, a machine lost; KEEP=1 stays up to look
	@exec $(BIN)/python -m aurum_assets_tests.proofs.prove_stack $(if $(KEEP),--keep)

tour: setup-dev ## The first hour walked in a clone: demo, UI, mistakes, Ctrl-C, a copy and a move
	@$(BIN)/python -m aurum_assets_tests.proofs tour

dev: setup ## Simulator, daemon and UI on 127.0.0.1:3000, schedules running
	@exec $(BIN)/python -m aurum_assets.dev --port $(UI_PORT) --simulator-port $(SIMULATOR_PORT)

worker: setup ## Warm processes that execute runs, on any machine (AURUM_WORKERS=celery)
	@exec $(BIN)/aurum worker

live: setup ## The same against the real operators (MISO needs no account), in AURUM_HOME/live
	@$(DAGSTER_YAML) $(AURUM_HOME)/live/dagster
	@AURUM_HOME=$(AURUM_HOME)/live DAGSTER_HOME=$(abspath $(AURUM_HOME))/live/dagster \
	exec $(BIN)/python -m aurum_assets.dev --live --port $(UI_PORT)

pictures: setup-dev ## The pictures of README and guide anew, from the demo's page (needs Chromium)
	@PYTHONPATH=. $(BIN)/python docs/pictures.py

openapi: setup ## Write config/openapi anew from the dataset configs and the declared records
	@$(BIN)/python -m aurum_assets.openapi

schemas: setup ## Write config/schemas, and the marts' schema.yml and sources.yml, anew from the tables
	@$(BIN)/python -c 'from aurum_assets.ingest.publish import write_schemas; write_schemas()'
	@$(BIN)/python -c 'from aurum_assets.marts.schemas import write; write()'

screens: setup-dev ## Write the kept screens of the command line anew; read their difference
	@WRITE_SCREENS=1 $(BIN)/python -m pytest -n0 -q aurum_assets_tests/test_screens.py

lock: ## Write the lock files anew from pyproject.toml (needs uv)
	@$(LOCK) --group setup --output-file requirements.lock pyproject.toml
	@$(LOCK) --group setup --group dev --all-extras --constraint requirements.lock \
	  --output-file .requirements-dev.lock pyproject.toml
	@$(LOCK) --group setup --group docs --constraint requirements.lock \
	  --constraint .requirements-dev.lock --output-file .requirements-docs.lock pyproject.toml

clean: ## Remove the virtual environment and caches; data in AURUM_HOME stays
	@rm -rf $(VENV) docs/_build docs/reference .pytest_cache .mypy_cache .ruff_cache .hypothesis
