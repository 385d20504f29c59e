# make install | demo | test | test-slow | check | format
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Each demo is a sweep of its own: runs/demo, runs/demo-1, ...; unless ARGS says which.
FREE_NAME = $(shell n=0; while [ -e runs/demo$${s} ]; do n=$$((n + 1)); s=-$$n; done; echo demo$${s})
NAME_OPTION = $(if $(findstring --resume,$(ARGS))$(findstring --name,$(ARGS)),,--name $(FREE_NAME))

.PHONY: install demo test test-slow check format

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python sweeps/demo_search.py $(NAME_OPTION) $(ARGS)

test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: install
	$(BIN)/python -m pytest -m slow
	SEGRAY_FUZZ_SCALE=20 $(BIN)/python -m pytest tests/fuzz --timeout 3600

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
