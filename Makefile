# On a machine with python3, make and PyPI: `make demo` and `make test` do everything.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test fast lint notebooks root environments reliability snapshots pictures bench clean

demo: .venv/installed
	$(BIN)/tfaas-nb demo --output demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -p no:nbval tests
	$(MAKE) notebooks

# What one runs while working: no training, no simulation.
fast: .venv/tested
	$(BIN)/python -m pytest -n 2 --dist worksteal -p no:nbval -m "not slow" tests

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: .venv/tested
	$(BIN)/python -m pytest -p no:xdist -p tests.notebook_needs --nbval --nbval-current-env \
	    --nbval-sanitize-with notebooks/sanitize.cfg notebooks

# Real ROOT, whose files some tests read; where it is missing they are skipped.
root: .venv/tested
	$(PIP) --constraint constraints.txt --editable '.[root]'

# SWAN, `pip install --user`, the lowest versions of all packages, and Binder, each as it is there:
# gigabytes that are gone afterwards, and a quarter of an hour or more. CI runs it after `make test`.
environments: .venv/tested
	$(PIP) --constraint constraints.txt --editable '.[environments]'
	$(BIN)/python -m pytest -n 2 --dist loadfile -m environments \
	    -o faulthandler_timeout=1800 tests/environments

# What takes minutes: servers under load, killed and fuzzed, notebooks and widgets that run again and
# again in a kernel, most pages in a browser, commands that train; CI runs it after `make test`.
# `make reliability ARGS="--soak 600 --fuzz 1000000"` does so for longer, slow decoders included.
reliability: .venv/tested
	$(BIN)/python -m pytest -n 2 -m "endurance and not alone" \
	    $(if $(ARGS),-o faulthandler_timeout=0 $(ARGS)) tests
	$(BIN)/python -m pytest -m "endurance and alone" tests/reliability

# Pictures of the notebooks for SWAN's gallery, in notebooks/nbSnapshots; needs chromium besides.
snapshots: .venv/tested
	$(BIN)/python -m tests.snapshots

# The README's pictures of the dashboard, as the browser tests see it; needs chromium.
pictures: .venv/tested
	$(BIN)/python -m pytest -m endurance tests/browser/test_dashboard.py -k 'seen_whole and voila'
	cp build/screenshots/dashboard-*.png notebooks/images/

# Needs wrk besides; makes environments for the other servers in .bench/. About half an hour;
# `make bench ONLY=single,bulk` measures a part: single, peers, bulk, latency, upload, memory,
# reading, streaming, physics, training, cluster (the last five without wrk).
bench: .venv/tested
	$(PIP) --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf .venv .bench demo build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --constraint constraints.txt --editable .
	touch $@

.venv/tested: .venv/installed
	$(PIP) --constraint constraints.txt --editable '.[simulation,test]'
	touch $@
