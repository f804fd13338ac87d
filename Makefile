# make run     the chat, on http://127.0.0.1:8000
# make test    every test, PROCESSES at a time
# make test-interpreted  the tests of what is compiled elsewhere, with nothing compiled
# make check   lint, formatting, types, who may import whom
# make conformance  the Autobahn test suite, all of it: see docs/conformance.md
# make faults  brokers, nodes and the network broken under load, in the long form: ARGS='--rounds 10', ARGS=--help
# make soak    two nodes and a Redis with much going on for MINUTES (60), and what that leaves of memory and files
# make bench   what a server costs, beside others, for about 30 minutes: ARGS=--quick for 3, ARGS=--help
# make bench-brokers  what a publication and a delivery cost through each broker, for about 3 minutes: ARGS=--help
# make bench-attacks  how long honest clients wait while somebody attacks, for about 7 minutes: ARGS=--help
# make audit   known vulnerabilities of what is installed
# make scale   what many nodes take, as measured, simulated and on paper: ARGS=--measure measures again
# make fuzz    what reads from the network, on random input, for SECONDS each: TARGETS='protocol tokens chat'
# Another Python: make test PYTHON=python3.13 VENV=.venvs/3.13

PYTHON ?= $(shell scripts/find-python)
VENV ?= .venv
BIN := $(VENV)/bin
pip-install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PIP_INSTALL := $(call pip-install,$(VENV))
# The first that installs dependency groups.
PIP := 'pip>=25.1'

INTERPRETED := .venvs/interpreted
SECONDS ?= 180
MINUTES ?= 60
# The tests wait for other processes most of the time.
PROCESSES ?= 3
TARGETS ?= $(sort $(basename $(notdir $(wildcard fuzz/*.py))))

.PHONY: run test test-interpreted check conformance faults soak bench scale bench-brokers bench-attacks audit fuzz format clean

run: $(VENV)/run.stamp
	@exec $(BIN)/roomcast serve $(ARGS)

test: $(VENV)/test.stamp
	@scripts/system-packages
	@scripts/install-autobahn $(BIN)/python || test "$${CI:-}" != true
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile $(ARGS)

test-interpreted: $(INTERPRETED)/test.stamp
	ROOMCAST_PURE=1 $(INTERPRETED)/bin/python -m pytest --numprocesses $(PROCESSES) --dist loadfile \
		tests/protocol tests/server $(ARGS)

check: $(VENV)/check.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: $(VENV)/test.stamp
	@scripts/install-autobahn $(BIN)/python
	$(BIN)/python -m tests.conformance $(ARGS)

faults: $(VENV)/test.stamp
	@scripts/system-packages
	$(BIN)/python -m tests.faults $(ARGS)

soak: $(VENV)/test.stamp
	@scripts/system-packages
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

# Installs the servers into environments of their own.
bench:
	@test -n "$(PYTHON)"
	@$(PYTHON) -m benchmarks $(ARGS)

bench-brokers: $(VENV)/run.stamp
	@scripts/system-packages
	@$(BIN)/python -m benchmarks.brokers $(ARGS)

bench-attacks: $(VENV)/run.stamp
	@$(BIN)/python -m benchmarks.attacks $(ARGS)

audit: $(VENV)/audit.stamp
	@scripts/audit $(BIN)/python

scale: $(VENV)/run.stamp
	@$(BIN)/python -m benchmarks.scale $(ARGS)

# On a copy of the sources without what was compiled, which tells the fuzzer nothing of the paths it took.
fuzz: $(VENV)/fuzz.stamp
	rm -rf build/fuzz/src && mkdir -p $(TARGETS:%=build/fuzz/corpus/%) && cp -r src build/fuzz/
	find build/fuzz/src -name '*.so' -delete
	$(foreach target,$(TARGETS),PYTHONPATH=build/fuzz/src $(BIN)/python fuzz/$(target).py \
		build/fuzz/corpus/$(target) -max_total_time=$(SECONDS) -max_len=600 \
		-artifact_prefix=build/fuzz/$(target)- $(ARGS) &&) true

format: $(VENV)/check.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)"
	$(PYTHON) -m venv $(VENV)

# What is compiled hides its source from Python, so a changed source is compiled again.
$(VENV)/run.stamp: pyproject.toml setup.py constraints.txt $(wildcard src/roomcast/*/*.py src/roomcast/*/*.pxd) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[crypto,nats,otel,redis]'
	@touch $@

# Installed, not editable: beside the sources may lie what was compiled of them for the other environment.
$(INTERPRETED)/test.stamp: pyproject.toml setup.py constraints.txt $(wildcard src/roomcast/*.py src/roomcast/*/*.py src/roomcast/*/*/*.py src/roomcast/*/*/*/*.py)
	@test -n "$(PYTHON)"
	$(PYTHON) -m venv $(INTERPRETED)
	$(call pip-install,$(INTERPRETED)) $(PIP)
	ROOMCAST_PURE=1 $(call pip-install,$(INTERPRETED)) . --group test
	@touch $@

# The groups come beside the package: to install it with them would compile it again.
$(VENV)/test.stamp: pyproject.toml constraints.txt | $(VENV)/run.stamp $(VENV)/pip.stamp
	$(PIP_INSTALL) --group test
	@touch $@

$(VENV)/check.stamp: pyproject.toml constraints.txt | $(VENV)/test.stamp
	$(PIP_INSTALL) --group check
	@touch $@

$(VENV)/audit.stamp: pyproject.toml constraints.txt | $(VENV)/run.stamp $(VENV)/pip.stamp
	$(PIP_INSTALL) --group audit
	@touch $@

$(VENV)/fuzz.stamp: pyproject.toml constraints.txt | $(VENV)/run.stamp $(VENV)/pip.stamp
	$(PIP_INSTALL) --group fuzz
	@touch $@

$(VENV)/pip.stamp: constraints.txt | $(BIN)/python
	$(PIP_INSTALL) $(PIP)
	@touch $@
