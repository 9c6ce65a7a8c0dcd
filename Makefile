# Everything starts from `python3` (3.11 or newer) and `make`; see tools/bootstrap.py.
# `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
PY_DIRS := $(wildcard src tests bench chaos tools examples)

# The resolver behind `make lock`; nothing else needs it, so it is not in the lock itself.
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help venv node demo test bench chaos serve conformance lint format lock build clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## Make .venv as the lock file says (every target does this first)
	@$(PYTHON) tools/bootstrap.py

demo: venv ## Hold a spoken conversation with no key and no network; writes out/demo/
	@$(BIN)/voxengine demo --out out/demo

node: venv ## Install OpenAI's clients for JavaScript, which some tests need, into out/node
	@$(BIN)/python tools/node_clients.py

test: venv node ## Run the tests; ARGS="-k name" picks some; installs Debian's Chromium if it may
	@$(PYTHON) tools/system_packages.py chromium
	@$(if $(ARGS),,$(BIN)/python -m tools.newer_python)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-m "not browser" --numprocesses 2 --dist worksteal)
	@$(if $(ARGS),,$(BIN)/python -m pytest -m browser tests/gateway)

bench: venv ## Measure latency, accuracy and cost; writes out/bench.json
	@$(BIN)/python -m bench --out out/bench.json $(ARGS)

chaos: venv ## Hold many calls in which much goes wrong; writes out/chaos.json; RUNS=n, KILLS=n, or SEED=n for one call to read
	@$(BIN)/python -m chaos --out out/chaos.json $(if $(RUNS),--runs $(RUNS)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

serve: venv ## Run the gateway with no key, on http://localhost:8080; ARGS="--provider mock"
	@$(BIN)/voxengine serve $(ARGS)

conformance: venv ## Check every provider, alone and behind the gateway; writes out/conformance.json
	@$(BIN)/voxengine conformance --all --gateway --out out/conformance.json; passed=$$?; \
	$(BIN)/python -m tools.newer_python conformance out/conformance.json || passed=1; exit $$passed

lint: venv ## Check style, types and the layering of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(PY_DIRS)
	$(BIN)/lint-imports

format: venv ## Rewrite the sources in the project's style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

lock: venv ## Resolve requirements/lock.txt anew; ARGS="--upgrade" takes the newest versions
	$(BIN)/python -m pip install --quiet --upgrade --target .venv/uv uv==$(UV_VERSION)
	.venv/uv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	    --extra anthropic --extra aws --extra azure-speech --extra demo --extra devices --extra gateway --extra google \
	    --extra otel --extra prices --extra webrtc --group dev \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	    --custom-compile-command "make lock" --output-file requirements/lock.txt $(ARGS)

build: venv ## Build the wheel and the source archive into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what make made: .venv, out/, dist/ and the tools' caches
	rm -rf .venv out dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
