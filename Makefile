# Two commands for a fresh clone with Python 3.11 and make: `make sweep` and `make test`; `make test-all` before a release.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
PYTEST := $(VENV)/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
ARGS ?= space=depth_vs_width

PORT ?= 8080

.PHONY: setup sweep test test-slow test-all check dashboard

setup: $(VENV)/.installed  ## the environment alone

sweep: setup  ## make sweep ARGS="space=cycles num_trials=8"
	$(RUN) run_sweep.py $(ARGS)

test: $(VENV)/.installed-dev  ## formatter, linter, types, tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PYTEST) -m 'not slow' $(ARGS_PYTEST)

test-slow: $(VENV)/.installed-dev  ## what `make test` leaves out: documented commands, the whole fault test, long versions
	$(PYTEST) -m slow --dist loadgroup $(ARGS_PYTEST)

test-all: test test-slow  ## everything

check: test

dashboard: $(VENV)/.installed-dashboard  ## make dashboard DIR=outputs/first: its Optuna study in the browser, also while it runs
	@test -f "$(DIR)/study.journal" || { echo "say which sweep: make dashboard DIR=outputs/NAME"; exit 2; }
	@echo "http://127.0.0.1:$(PORT)/ shows $(DIR)"
	$(VENV)/bin/optuna-dashboard --host 127.0.0.1 --port $(PORT) "$(DIR)/study.journal"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 (or 3.12, 3.13) is needed; say where it is: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.installed-dashboard: $(VENV)/.installed
	$(PIP) -e '.[dashboard]'
	@touch $@
