# Everything runs in .venv, which is made when it is missing or pyproject.toml has changed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# a process for each core, up to four, of one thread each; in a fresh environment, compiling PyMatting would take minutes
PYTEST := OMP_NUM_THREADS=1 NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n auto --maxprocesses 4
# a part of the unit suite that imports all of the package and takes a minute
QUICK := tests/golden $(addprefix tests/unit/test_,public.py style_spec.py options.py read.py write.py api.py tune_page.py)
# a folder with pictures and weights to train, test and measure with; tests that need it are skipped without
export ARTUNE_ASSETS

# the page that paints in a browser: what its tools need, and how well its files are compressed, 0 .. 11
PACKAGES := web/browser/node_modules/.package-lock.json
BROTLI ?= 11
TRY_PAGE := cd web/browser && npm run --silent check && npm run --silent test

.PHONY: demo test test-all cover quick check docs bench browser clean

demo: $(READY)
	$(BIN)/artune demo -o artune-demo.png

test: $(READY)
	$(PYTEST) -m "not slow and not assets"

# the share of the package that the unit suite runs; below the floor in pyproject.toml it fails
cover: $(READY)
	$(PYTEST) -m "not slow and not assets" --cov --cov-report=term:skip-covered

test-all: $(READY) $(if $(shell command -v npm),$(PACKAGES))
	$(if $(shell command -v npm),$(TRY_PAGE))
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
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet, warnings do not count

bench: $(READY)
	$(BIN)/python benchmarks/speed.py

# the page that paints in a browser, in build/browser/; MODEL=DIR takes a model that is there, and needs no Python
browser: $(if $(MODEL),,$(READY)) $(PACKAGES)
	$(TRY_PAGE)
	$(if $(MODEL),,rm -rf build/model && $(BIN)/artune export painter -o build/model)
	node web/browser/build.mjs --model $(or $(MODEL),build/model) --out build/browser --brotli $(BROTLI)

$(PACKAGES): web/browser/package-lock.json
	cd web/browser && npm ci --ignore-scripts
	touch $@

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf .venv .venv-* web/browser/node_modules build dist site .coverage .pytest_cache .mypy_cache .ruff_cache artune-demo.png
