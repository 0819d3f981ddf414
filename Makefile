# One command sets everything up: every target that needs the environment makes it first. `make demo` and `make up`
# install what a stack on this machine needs, all other targets what the tests need.
# Python 3.11 or newer and make are enough; uv is used where it is on the PATH.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EMBEDDED := $(VENV)/.embedded
PEERS := .venv-arq/.installed
CONTAINERS := $(VENV)/.containers

.DEFAULT_GOAL := help
.PHONY: help setup demo up wheel check rooms test test-pythons test-containers test-all faults faults-short bench bench-quick bench-polling bench-scaling peers docs clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything in it; again only when the dependencies changed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) deploy/environment.py dev
	@touch $(STAMP) $(EMBEDDED)

$(EMBEDDED): pyproject.toml constraints.txt
	@$(PYTHON) deploy/environment.py embedded
	@touch $(EMBEDDED)

demo: $(EMBEDDED) ## See it work: all four providers, simulated, from submit to stored picture
	@$(BIN)/bide demo

up: $(EMBEDDED) ## Run it here with your own providers from .env, until Ctrl-C
	@$(BIN)/bide up

wheel: ## Build dist/bide-*.whl, which other services install
	@rm -rf build/lib build/bdist.* dist/bide-*.whl
	@if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then \
		uv build --quiet --wheel --out-dir dist; \
	else \
		test -x build/venv/bin/pip || $(PYTHON) -m venv build/venv && \
		build/venv/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .; \
	fi
	@echo dist/bide-*.whl

check: setup ## Lint, format, types, floors and the sentences of the documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/prose.py

rooms: setup ## The rooms of the code, who imports whom, and every circle
	@$(BIN)/python docs/rooms.py

test: setup ## Unit, contract and integration tests
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not whole" tests/integration tests/contract tests/unit

test-pythons: ## The unit tests on each Python that this machine has; an environment each
	@for version in 3.11 3.12 3.13; do \
		if ! "python$$version" -c '' 2>/dev/null; then echo "python$$version: not on this machine"; continue; fi; \
		test -x .venv-$$version/bin/python || "python$$version" -m venv .venv-$$version; \
		.venv-$$version/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt && \
		.venv-$$version/bin/python -m pytest -q tests/unit || exit 1; \
	done

test-all: test test-containers ## All tests, also whole stacks and sessions, those that open a browser, and those that kill
	$(BIN)/python -m pytest -m whole tests/integration tests/contract tests/unit
	$(BIN)/python -m pytest tests/browser tests/faults

test-containers: $(CONTAINERS) ## docker-compose.yml built and run for real, with kills; skipped where that can't be (root on Debian)
	@.ci/install containers || true
	$(BIN)/python -m pytest tests/containers tests/unit/test_kubernetes_files.py tests/unit/test_hooks_files.py

$(CONTAINERS): $(STAMP)
	@if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --group containers -c constraints.txt; \
	else \
		$(BIN)/python -m pip install --quiet 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --group containers -c constraints.txt; \
	fi
	@touch $@

faults: setup ## Kills, restarts and lies with three seeds; writes the tables of docs/reliability.md (about an hour)
	$(BIN)/python -m pytest tests/faults
	for seed in 1 2 3; do $(BIN)/python -m tests.faults.chaos --seed $$seed || exit 1; done
	for seed in 1 2 3; do $(BIN)/python -m tests.faults.chaos --contracts --seed $$seed || exit 1; done
	$(BIN)/python -m tests.faults.chaos --seed 4 --fsync everysec
	$(BIN)/python -m tests.faults.chaos --seed 2 --hosts 2 --jobs 1000
	$(BIN)/python -m tests.faults.chaos --seed 1 --kinds kill --gap 12 --jobs 1000 --seconds 180
	for who in bide naive recommended; do $(BIN)/python -m tests.faults.chaos --common --contender $$who --jobs 1000 || exit 1; done
	for sync in always everysec; do $(BIN)/python -m tests.faults.chaos --kinds power_cut --gap 6 --fsync $$sync --jobs 500 --seconds 60 || exit 1; done
	for seed in 1 2 3; do for safe in disk replica; do $(BIN)/python -m tests.faults.failover --safe $$safe --seed $$seed || exit 1; done; done
	$(BIN)/python -m tests.faults.failover.cost
	$(BIN)/python -m tests.faults.lost
	$(BIN)/python -m tests.faults.lost --scene plain --receipts off
	$(BIN)/python -m tests.faults.lost.cost
	$(BIN)/python -m tests.faults.first_gone
	$(BIN)/python -m tests.faults.report --write

faults-short: setup ## The crash matrix and a chaos run in under four minutes
	FAULTS=short $(BIN)/python -m pytest -n 2 --dist loadfile tests/faults/test_crash_matrix.py tests/faults/test_chaos.py tests/faults/test_report.py tests/faults/test_promises.py

bench: setup peers ## Every contender in every scenario, three runs of what goals compare; writes docs/performance.md (45 minutes at most)
	$(BIN)/python -m bench --write

peers: $(PEERS) ## The other task queues that bench measures; one wants an environment of its own

$(PEERS): $(STAMP)
	@test -x .venv-arq/bin/python || $(PYTHON) -m venv .venv-arq
	@if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --group bench -c constraints.txt && \
		uv pip install --quiet --compile-bytecode --python .venv-arq/bin/python --group bench-arq; \
	else \
		$(BIN)/python -m pip install --quiet 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --group bench -c constraints.txt && \
		.venv-arq/bin/python -m pip install --quiet 'pip>=25.1' && \
		.venv-arq/bin/python -m pip install --quiet --group bench-arq; \
	fi
	@touch $@

bench-quick: setup ## A look at the same ratios in about a minute
	$(BIN)/python -m bench --quick

bench-polling: setup ## Simulate how polls learn, and write docs/polling.md
	$(BIN)/python -m bench.polling --write

bench-scaling: setup ## Measure how the ledger and its pollers scale, and write docs/scaling.md
	$(BIN)/python -m bench.scaling --write

docs: setup ## Build the documentation site into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean: ## Remove what was built, cached and stored by demos; .venv stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .bide/demo
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
