# `make run` and `make test` are the two commands to know. Each sets up all that it needs; a second run is quick.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
comma := ,
# A version pinned exactly lets pip take a CPU wheel from a local index or folder where one is on offer. `TORCH=` goes
# without it: what needs it is deselected by name and counted (tests/support/torch_tests.py).
TORCH ?= torch==2.13.0
TEST_EXTRAS := media$(if $(TORCH),$(comma)train)
export FACEWIRE_TESTS := $(if $(TORCH),,without-torch)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test kernels lint format typing setup models toolchain wheel wheel-test clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run  ## watch the camera (or the demo) and open the page; ARGS='--video clip.mp4' adds options
	$(BIN)/facewire serve --open $(ARGS)

test: setup lint  ## everything that CI checks but the wheel
	$(BIN)/python -m pytest $(ARGS)
	$(if $(ARGS),,$(MAKE) --no-print-directory kernels)

# Another processor adds up products in another order: OpenBLAS has kernels for each, and numba compiles for each. Those
# of the oldest run everywhere. The first run takes the environment as it is, so it may have named one of them already.
OTHER_BLAS := $(if $(filter x86_64 amd64,$(shell uname -m)),$(if $(filter Prescott,$(OPENBLAS_CORETYPE)),Nehalem,Prescott),ARMV8)

kernels: setup  ## the tests that could differ between processors, with the mathematics of another one
	OPENBLAS_CORETYPE=$(OTHER_BLAS) NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=$(CURDIR)/$(VENV)/.numba-generic \
		$(BIN)/python -m pytest -q -m kernels -p no:cacheprovider

lint: setup typing  ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
		echo $(BIN)/mypy -p facewire; $(BIN)/mypy -p facewire; \
	else echo 'mypy: left out, as NumPy describes itself otherwise to this Python; 3.11 checks types for all'; fi
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: setup  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.dev models toolchain

# What a user's live run needs: the package with the microphone where PortAudio can be built, without it elsewhere.
$(VENV)/.run: pyproject.toml .ci/system-packages
	.ci/system-packages run
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	$(PIP) install --quiet --editable '.[mic]' || { \
		echo 'PyAudio did not build (is PortAudio installed?): going on without the microphone.'; \
		$(PIP) install --quiet --editable .; }
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml
	.ci/system-packages test
	$(if $(TORCH),$(PIP) install --quiet '$(TORCH)')
	$(PIP) install --quiet --editable '.[$(TEST_EXTRAS)]' --group dev
	@touch $@

models: $(VENV)/.run
	$(BIN)/facewire models pull --quiet --for-tests

toolchain: $(VENV)/.dev  # what compiles and tests the Unity client
	$(BIN)/python tests/unity_client/toolchain.py

# Type checkers do not see setuptools' mapping of folders to packages: links show it to them.
typing:
	@mkdir -p .typing/facewire
	@for package in bridge models runtime; do ln -sfn ../../$$package .typing/facewire/$$package; done

wheel: setup  ## build the wheel and the source archive into dist
	rm -rf dist build
	$(BIN)/python -m build --quiet --outdir dist .

wheel-test: wheel  ## install the built wheel in an empty environment and stream from it
	rm -rf .venv-wheel && $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip --disable-pip-version-check install --quiet dist/*.whl
	cd .venv-wheel && bin/python ../tests/wheel_smoke.py
	rm -rf .venv-wheel

clean:  ## remove what the targets above made
	rm -rf .venv .venv-wheel .typing build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
