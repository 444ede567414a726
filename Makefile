# Every target sets up what it needs; `make run` and `make test` are all a newcomer has to know.
PYTHON  ?= python3
TOOLS   := .tools
UV      := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN     := .venv/bin
WORKERS ?= auto
SOAK    ?= whole
# No test of a short soak takes long; one of a whole soak may take hours.
SOAK_TIMEOUT = $(if $(filter short,$(SOAK)),300,36000)
export UV_PYTHON_DOWNLOADS = never
export UV_LINK_MODE = copy
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help run test soak demo check lint bench audit sbom setup setup-dev setup-release lock format clean

help:                       ## Show the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

run: setup                  ## Set up and serve on 127.0.0.1:8000 with SQLite and generated keys
	@$(BIN)/licsrv init --quiet
	@exec $(BIN)/licsrv serve

test: setup-dev             ## Set up and run the whole test suite, PostgreSQL included
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

soak: setup-dev             ## Run the long sweeps: hours, or minutes with SOAK=short
	SOAK=$(SOAK) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m soak --timeout $(SOAK_TIMEOUT)

demo: setup                 ## Walk the whole life of a license, server and marketplace emulator included
	@$(BIN)/python -m demo

check: lint test            ## Format, lint, types, tests

lint: setup-dev             ## Format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup-dev            ## Benchmarks, as ratios against a bare Starlette app measured in the same run
	$(BIN)/python -m benchmarks

audit: setup-release        ## List known vulnerabilities of the locked dependencies, or say that no database could be asked
	@.venv-release/bin/pip-audit --requirement requirements.txt --disable-pip --require-hashes --format json \
	  --progress-spinner off 2>/dev/null | $(PYTHON) deploy/audit-report

sbom: setup-release         ## Write what the server is made of as dist/licsrv.cdx.json (CycloneDX)
	@mkdir -p dist
	@.venv-release/bin/python -W ignore -m cyclonedx_py requirements requirements.txt --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/licsrv.cdx.json
	@echo "Wrote dist/licsrv.cdx.json."

format: setup-dev           ## Format the code and repair what the linter can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

setup: .venv/.runtime
setup-dev: .venv/.dev
setup-release: .venv-release/.done

.venv/.runtime: requirements.txt pyproject.toml | $(if $(filter $(TOOLS)/bin/uv,$(UV)),$(TOOLS)/bin/uv)
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.venv-release/.done: requirements-release.txt | $(if $(filter $(TOOLS)/bin/uv,$(UV)),$(TOOLS)/bin/uv)
	@test -x .venv-release/bin/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv-release
	@$(UV) pip install --quiet --python .venv-release/bin/python --require-hashes -r requirements-release.txt
	@touch $@

# Debian's own python3 may come without pip and venv: say what to do instead of failing in the middle.
$(TOOLS)/bin/uv: | requirements-uv.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip --version >/dev/null 2>&1 || sh deploy/bootstrap-pip
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	   $(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target $(TOOLS) --require-hashes -r requirements-uv.txt; \
	 else \
	   $(PYTHON) -m venv $(TOOLS)/venv && $(TOOLS)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt \
	   && mkdir -p $(TOOLS)/bin && ln -sf ../venv/bin/uv $(TOOLS)/bin/uv; \
	 fi

lock: | $(if $(filter $(TOOLS)/bin/uv,$(UV)),$(TOOLS)/bin/uv)   ## Write the hash-pinned requirements files
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' pyproject.toml --extra build -o requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' -c requirements.txt --group dev pyproject.toml --extra build -o requirements-dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' --group release -o requirements-release.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' --group bootstrap -o requirements-uv.txt

clean:                      ## Remove the environment and caches (not var/ and keys/)
	rm -rf .venv .venv-release $(TOOLS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
