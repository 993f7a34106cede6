# `make run` starts a site from a fresh clone; `make check` is for each change, `make test` for all of it.
# ARGS go to `argosy up`, the benchmark, ..., e.g.: make run ARGS="--dir /tmp/site --port 0"; TESTS to pytest:
# make test TESTS=tests/door. AT_ONCE tests run side by side: they wait more than they compute.

ARGS ?=
TESTS ?= tests
AT_ONCE ?= 4
SECONDS ?= 3600
PY := .venv/bin/python
PYTEST := .venv/bin/pytest --numprocesses $(AT_ONCE) --dist loadscope --no-loadscope-reorder

# Tests start hundreds of processes, and pytest rewrites every module of theirs: that is to be done once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check lint fix bench soak faults simulate fuzz docs clients client-programs

help:
	@echo "make run     start a site on this machine: a master and two nodes (ARGS: as for argosy up)"
	@echo "make check   lint and unit tests: for each change"
	@echo "make lint    style, types, import contracts: seconds"
	@echo "make test    all tests, with real FTP clients; installs those that it may"
	@echo "make fix     format, and mend what can be mended by itself"
	@echo "make bench   the numbers, beside other servers (ARGS: tables, --only argosy,vsftpd, --quick, profile NAME, ...)"
	@echo "make soak    a site under mixed load for an hour, or SECONDS: does it stay level, is every file right?"
	@echo "make faults  ten nodes broken in every way while they are used (ARGS: --seed N, --only kill,flip, ...)"
	@echo "make simulate 1,000 nodes, 10 million files, a bad morning, in memory: do copies come back, and no more than needed?"
	@echo "make clients all FTP clients against Argosy and vsftpd: writes docs/clients.md"
	@echo "make fuzz    a million random lines, calls and cuts for each protocol: nothing may crash, nothing may be held"
	@echo "make docs    do the documents name what the code has?"

run: .venv/.run
	@exec .venv/bin/argosy up $(ARGS)

check: lint
	$(PYTEST) -q tests/unit

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: .venv/.dev client-programs
	$(PYTEST) --durations 25 $(TESTS)

client-programs: .venv/.dev
	@scripts/clients
	@scripts/peers
	@PYTHONPATH=tests $(PY) -m kernel.image

clients: .venv/.dev client-programs
	PYTHONPATH=tests:bench $(PY) -m clients

fix: .venv/.dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.dev
	@scripts/clients bench
	@scripts/peers bench
	@PYTHONPATH=tests $(PY) -m kernel.image
	$(PY) bench/run.py $(ARGS)

faults: .venv/.dev
	exec env PYTHONPATH=tests $(PY) -m probe.harness --seconds $(SECONDS) $(ARGS)

soak: .venv/.dev
	PYTHONPATH=tests:bench $(PY) tests/soak/run.py $(SECONDS) $(ARGS)

simulate: .venv/.dev
	PYTHONPATH=tests $(PY) -m simulation.run $(ARGS)

fuzz: .venv/.dev
	PYTHONPATH=tests $(PY) -m fuzz.run $(ARGS)

docs: .venv/.dev
	.venv/bin/pytest -q tests/unit/test_docs.py

.venv/.run: uv.lock pyproject.toml scripts/environment
	@scripts/environment run

.venv/.dev: uv.lock pyproject.toml scripts/environment
	@scripts/environment dev
