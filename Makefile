# Everything runs in .venv, which is made when it is missing or pyproject.toml has changed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# a process for each core, up to four, of one thread each
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4
# a part of the unit suite that imports all of the package and takes a minute
QUICK := tests/golden $(addprefix tests/unit/test_,public.py style_spec.py options.py read.py write.py api.py tune_page.py)
# a folder with pictures and weights to train, test and measure with; tests that need it are skipped without
export ARTUNE_ASSETS

.PHONY: demo test test-all quick check docs bench clean

demo: $(READY)
	$(BIN)/artune demo -o artune-demo.png

# the unit suite, with the share of the package that it runs; below the floor in pyproject.toml it fails
test: $(READY)
	$(PYTEST) -m "not slow and not assets" --cov --cov-report=term:skip-covered

test-all: $(READY)
	$(PYTEST) -m "slow or assets"

# whether another Python runs the package: make quick PYTHON=python3.13 VENV=.venv-3.13
quick: $(READY)
	$(PYTEST) -m "not slow and not assets" $(QUICK)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/python benchmarks/speed.py

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv .venv-* build dist site .coverage .pytest_cache .mypy_cache .ruff_cache artune-demo.png
