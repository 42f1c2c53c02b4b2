# What a newcomer needs: `make run` and `make test`. `make help` lists the rest.
# A fresh machine needs Python >= 3.11, git and make; everything else goes into .venv.

VENV := .venv
PY := $(VENV)/bin/python
LOCKS := build/locks
SOURCES := pyproject.toml $(wildcard $(LOCKS)/*.txt build/*.py hooks/*.py) $(shell find runtime plugin hooks -type f ! -name '*.pyc' 2>/dev/null)
BUNDLES := dist/.built

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run stop test fuzz check format bundle bench locks copies clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: bundle ## Show the whole story: start, replay a recorded session, print what the next one starts with, stop
	$(PY) build/demo.py

stop: $(VENV)/ready ## Stop what an interrupted `make run` left behind
	$(PY) build/demo.py --stop

test: bundle ## Run every test
	$(PY) -m pytest

fuzz: $(VENV)/ready ## Try every route with many more generated requests than `make test` does
	CLAUDE_MEM_FUZZ_EXAMPLES=300 $(PY) -m pytest tests/server_beta/api/test_schemathesis.py

check: $(VENV)/ready ## Format, lint, types, import contracts and the fast tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	PYTHONPATH=runtime $(VENV)/bin/lint-imports
	$(PY) -m pytest tests/architecture tests/hooks tests/worker/unit tests/server_beta/unit

format: $(VENV)/ready ## Format the code and mend what the linter can mend
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bundle: $(BUNDLES) ## Build what users install: dist/worker.pyz, dist/server-beta.pyz, dist/marketplace

bench: bundle ## Run the benchmarks
	$(PY) -m bench

locks: $(VENV)/ready ## Bring build/locks up to date with pyproject.toml
	$(PY) build/lock.py

copies: $(VENV)/ready ## Refresh the worker's verified copies from server_beta
	$(PY) build/copies.py

clean: ## Remove everything that was built, the environment included
	rm -rf dist $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BUNDLES): $(VENV)/ready $(SOURCES)
	$(PY) build/bundle.py
	touch $@

$(VENV)/ready: $(LOCKS)/dev.txt $(LOCKS)/redis.txt build/environment.sh
	bash build/environment.sh $(VENV) $(LOCKS)
	touch $@
