# make install | demo | test | test-slow | check | format
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Each demo is a sweep of its own: runs/demo, runs/demo-1, ...; ARGS gives the study's options instead.
FREE_NAME = $(shell n=; while [ -e runs/demo$$n ]; do n=$$((n - 1)); done; echo demo$$n)

.PHONY: install demo test test-slow check format

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python sweeps/demo_search.py $(or $(ARGS),--name $(FREE_NAME))

test: install
	$(BIN)/python -m pytest

test-slow: install
	$(BIN)/python -m pytest -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
