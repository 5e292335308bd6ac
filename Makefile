PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS := .venv/.docs

.PHONY: demo test test-browser test-services test-docs docs docs-pictures check bench lint types

demo: $(STAMP)
	$(BIN)/python -m reportgen_cli demo --out demo-out

test: export OMP_NUM_THREADS ?= 1
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not browser and not docs and not services" tests

# The pages of `rg study` and `rg eval` in Chromium: found on PATH or named by CHROME.
test-browser: $(STAMP)
	$(BIN)/python -m pytest -m browser tests

# With services that the tests start, as the archive Orthanc and a cluster of Ray; and what takes half a minute.
test-services: export OMP_NUM_THREADS ?= 1
test-services: $(STAMP)
	$(BIN)/python -m pytest -m services tests

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

# The blocks of the README and of docs/, the notebooks, the site and the Dockerfile.
test-docs: export OMP_NUM_THREADS ?= 1
test-docs: $(STAMP) $(DOCS)
	$(BIN)/python -m pytest -n 2 -m docs tests/docs

# The site, in build/site.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP) $(DOCS)
	$(BIN)/mkdocs build --strict

docs-pictures: $(STAMP)
	$(BIN)/python docs/assets/pictures.py

check: lint types test

bench: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml
	@echo "Installing reportgen into .venv: some 5 GB to download, 8 GB on the disk, about 10 minutes. Nothing more is printed until it is done."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $(STAMP)

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	touch $(DOCS)
