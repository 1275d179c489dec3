# Each target does all its own set-up: python3, pip and make are enough to begin with.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bin/uv)
STAMP := $(VENV)/.installed
RUN := $(VENV)/bin

.PHONY: demo test test-long simulate lint bench connector connectors-table lock clean

demo: $(STAMP)
	$(RUN)/truckroll demo

test: $(STAMP)
	$(RUN)/pytest -n 2 --dist worksteal -m "not long"

# The whole of the real service requests, all zones, all planted bugs: hours of one core.
test-long: $(STAMP)
	$(RUN)/pytest -n 2 --dist worksteal -m long --timeout 3600 -o faulthandler_timeout=4000

# The whole hub on a virtual clock, a life for each seed; the same call goes on where it was cut.
SEEDS ?= 2000
FROM ?= 0
PROCESSES ?= 2
simulate: $(STAMP)
	$(RUN)/python tests/simulation/run.py $(SEEDS) $(FROM) $(PROCESSES)

lint: $(STAMP)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

bench: $(STAMP)
	$(UV) pip install --quiet --compile-bytecode --python $(RUN)/python --require-hashes -r requirements-bench.txt
	$(RUN)/python -m bench

# The files a new connector begins with: make connector NAME=acme-dispatch TITLE="Acme Dispatch"
# (ETAG=no where the vendor has no versions). Names reach the program by its environment.
connector: $(STAMP)
	$(RUN)/python tools/scaffold "$$NAME" "$$TITLE" $(if $(filter no,$(ETAG)),--without-etag)

connectors-table: $(STAMP)
	$(RUN)/python tools/connectors_table.py

# Locks name versions and hashes, never an index: the machine's own index is used.
lock:
	$(UV) pip compile --quiet --generate-hashes --no-emit-index-url pyproject.toml -o requirements.txt
	$(UV) pip compile --quiet --generate-hashes --no-emit-index-url --group dev pyproject.toml -o requirements-dev.txt
	$(UV) pip compile --quiet --generate-hashes --no-emit-index-url --group dev --group bench pyproject.toml -o requirements-bench.txt

$(STAMP): pyproject.toml requirements-dev.txt
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	command -v uv >/dev/null || test -x $(VENV)/bin/uv || $(RUN)/python -m pip install --quiet uv
	$$(command -v uv || echo $(VENV)/bin/uv) pip install --quiet --compile-bytecode --python $(RUN)/python --require-hashes -r requirements-dev.txt
	$$(command -v uv || echo $(VENV)/bin/uv) pip install --quiet --python $(RUN)/python --no-deps --editable .
	$(RUN)/python -m compileall -q src
	touch $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
