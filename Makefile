# make run       train if there is no checkpoint, then serve on 127.0.0.1:8000
# make train     train on the embedded list, and evaluate the models
# make check     lint and type-check
# make test      lint, type-check and run the tests in a few minutes
# make test-all  the same, and the tests marked slow: crowds, large alphabets, many repetitions
# make soak      check for SECONDS (600 by default) that a service in use does not grow
# make bench     compare with the post's code, as ratios; NAMES=file sets the list
# make fuzz      search for inputs that break patterns and checkpoints, for SECONDS (60) each
# make clean     remove the installation, but no checkpoints

PYTHON ?= python3
# PyTorch's own index has CPU builds, gigabytes smaller than those with CUDA on PyPI. If it cannot be
# reached, pip warns and uses its own index.
TORCH_INDEX ?= $(shell sed -n 's/^ARG TORCH_INDEX=//p' Dockerfile)

PIP = .venv/bin/pip --disable-pip-version-check install --quiet --constraint constraints.txt
# worksteal gives each worker consecutive tests, so that the tests of a module share a service and a
# browser. Bytecode is kept, because the tests start hundreds of processes.
# One thread per test process: the threads of several would spin while they wait for a core.
THREADS = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST = $(THREADS) PYTHONDONTWRITEBYTECODE= .venv/bin/pytest --numprocesses=auto --dist=worksteal
CHECKPOINTS = $(or $(MONIKER_CHECKPOINTS),checkpoints)

.PHONY: run train check test test-all pytest-test pytest-test-all soak bench fuzz clean

run: .venv/training $(if $(wildcard $(CHECKPOINTS)/*.safetensors),,train)
	@.venv/bin/python -m service

train: .venv/training
	.venv/bin/python -m training --evaluate --out "$(CHECKPOINTS)"

check: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test test-all: .venv/dev
	@$(MAKE) --no-print-directory --jobs=2 check pytest-$@

pytest-test: .venv/dev
	$(PYTEST) -m "not slow"

pytest-test-all: .venv/dev
	$(PYTEST) --hypothesis-profile=thorough

soak: .venv/dev
	.venv/bin/python -m tests.soak $(or $(SECONDS),600)

bench: .venv/dev
	.venv/bin/python -m benchmarks $(NAMES)

fuzz: .venv/dev
	.venv/bin/python -m fuzz pattern $(or $(SECONDS),60)
	.venv/bin/python -m fuzz checkpoint $(or $(SECONDS),60)

clean:
	rm -rf .venv .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

.venv/training: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("moniker needs Python 3.11 or later; if you have it, add PYTHON=python3.11")'
	@echo "installing into .venv; the first time takes a minute or two"
	@$(PYTHON) -m venv .venv
	@# The index is used for torch alone.
	@$(PIP) --no-deps --retries 1 $(addprefix --extra-index-url ,$(TORCH_INDEX)) torch
	@$(PIP) --editable '.[training]'
	@touch $@

.venv/dev: .venv/training
	@$(PIP) --editable '.[training,telemetry,dev]'
	@touch $@
