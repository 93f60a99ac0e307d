# make serve | test | test-long | test-runbook | test-alerts | test-incidents | test-drills |
# test-container | drill | image | watch | tools | lint | lock | bench | bench-swap | bench-shadow |
# bench-metrics | bench-drift | bench-alarms | bench-estimates
# (PORT=8001 make serve)
PYTHON ?= python3.11
PORT ?= 8000
BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
# pip says a line or more a package; a person wants to see that it moves.
COUNT := awk '/^Collecting /{n++; printf "\r  package %d", n; fflush()} END{print ""}'
INSTALL = $(BIN)/python -m pip install --require-hashes --no-deps --progress-bar off
export BENTOML_DO_NOT_TRACK := True
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: serve test test-long test-runbook test-alerts test-incidents test-drills test-container drill image watch tools lint bench bench-check bench-swap bench-shadow bench-metrics bench-drift bench-alarms bench-estimates lock clean

serve: .venv/.runtime
	@exec $(BIN)/python start.py --port $(PORT)

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# How often alarms are wrong, kills at any moment, whole trainings.
test-long: .venv/.dev
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile

# The runbook, each incident's alert, what they rest on, and all drills, with a real Prometheus and
# Alertmanager; one after the other, as their windows are shortened to seconds.
test-runbook: .venv/.dev
	$(BIN)/python -m pytest -rs -m incident tests/runbook

test-alerts: .venv/.dev
	$(BIN)/python -m pytest -rs -m incident tests/incidents

test-incidents: .venv/.dev
	$(BIN)/python -m pytest -rs -m incident --ignore tests/runbook --ignore tests/incidents

test-drills: .venv/.dev
	$(BIN)/python -m pytest -rs -m drill tests/drills

test-container: .venv/.dev
	$(BIN)/python -m pytest -rs -m container tests/container

drill: .venv/.runtime
	$(BIN)/python -m monitoring.drill $(or $(NAME),all)

image: .venv/.runtime
	@exec $(BIN)/python -m registry.image $(if $(VERSION),--version $(VERSION))

watch: .venv/.runtime
	@exec $(BIN)/python -m monitoring.watch --target 127.0.0.1:$(PORT)

# What Debian has of the tools that the on-call work and its tests use.
TOOLS_DEBIAN := prometheus prometheus-alertmanager jq curl procps \
	podman runc containernetworking-plugins mmdebstrap
tools:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLS_DEBIAN)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.dev
	$(BIN)/python -m benchmarks.serving

# That each benchmark runs, quickly; make test has only the tests of their arithmetic.
bench-check: .venv/.dev
	$(BIN)/python -m pytest -m benchmark tests/benchmarks

bench-swap: .venv/.dev
	$(BIN)/python -m benchmarks.swap

bench-shadow: .venv/.dev
	$(BIN)/python -m benchmarks.shadow

# The tools that monitoring is compared with live in environments of their own, made on demand.
TOOLS := nannyml evidently feature-engine
READY := $(TOOLS:%=benchmarks/.environments/%/.ready)

bench-metrics: .venv/.dev
	$(BIN)/python -m benchmarks.metrics

bench-drift: .venv/.dev $(READY)
	$(BIN)/python -m benchmarks.drift

bench-alarms: .venv/.dev $(READY)
	$(BIN)/python -m benchmarks.alarms

bench-estimates: .venv/.dev benchmarks/.environments/nannyml/.ready
	$(BIN)/python -m benchmarks.estimates

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "make the environment in .venv/"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.runtime: requirements.lock | .venv/bin/python
	@echo "install from requirements.lock (hashes checked)"
	@$(INSTALL) -r requirements.lock | $(COUNT)
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	@echo "install from requirements-dev.lock (hashes checked)"
	@$(INSTALL) -r requirements-dev.lock | $(COUNT)
	@touch $@

$(TOOLS:%=benchmarks/.environments/%): %: %/.ready ;

benchmarks/.environments/%/.ready: benchmarks/requirements-%.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "make $(@D)/ from $< (hashes checked)"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --require-hashes --no-deps --progress-bar off -r $< | $(COUNT)
	@touch $@

# Three views of one resolution: everything, what make serve needs, what a Bento needs.
COMPILE = $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
LOCK = $(COMPILE) pyproject.toml
lock: .venv/.dev
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --extra training --extra dev --extra bench -o requirements-dev.lock
	$(LOCK) --extra training -c requirements-dev.lock -o requirements.lock
	$(LOCK) -c requirements-dev.lock -o requirements-bento.lock
	for tool in $(TOOLS); do \
		$(COMPILE) benchmarks/requirements-$$tool.in -o benchmarks/requirements-$$tool.lock || exit 1; \
	done

clean:
	rm -rf .venv benchmarks/.environments artifacts .mypy_cache .ruff_cache
