# Everything sets itself up: a virtual environment in .venv and Azurite in devtools/node_modules.
.DEFAULT_GOAL := help
SHELL := bash

PYTHON ?= $(shell devtools/pythons | sed -n '1s/^[^ ]* //p')
VENV := .venv
BIN := $(VENV)/bin
SOURCES := function_app.py nsgflow_core devtools benchmarks infra/hooks tests

.PHONY: help demo test versions check bench format lint types docs supply lock sbom clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/ready devtools/node_modules/ready ## Run nsgflow on local stand-ins (LOG=file replays a PT1H.json, TRIGGER=Queue has events come by a queue)
	@$(BIN)/python -m devtools.demo $(if $(LOG),--log "$(LOG)") $(if $(TRIGGER),--trigger "$(TRIGGER)")

test: $(VENV)/ready devtools/node_modules/ready ## Run every test, Azurite and the stand-ins included
	@$(BIN)/pytest -n 2 --dist loadgroup

versions: $(VENV)/ready devtools/node_modules/ready ## Run what depends on Python on every other one that is here
	@devtools/versions

check: format lint types docs supply test ## The whole gate

bench: $(VENV)/ready devtools/node_modules/ready ## Measure, as ratios against baselines of the same run
	@$(BIN)/python -m benchmarks

format: $(VENV)/ready ## Check the format (ruff format . mends it)
	@$(BIN)/ruff format --check $(SOURCES)

lint: $(VENV)/ready ## Check the style, and that imports point one way
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/lint-imports --no-cache

types: $(VENV)/ready ## Check the types
	@$(BIN)/mypy

docs: $(VENV)/ready ## Check that what is generated in the docs is current
	@$(BIN)/python -m devtools.docs --check

supply: $(VENV)/ready ## Check that the lock, the SBOM and the licences are current
	@$(BIN)/python -m devtools.supply check

lock: $(VENV)/ready ## Make requirements.txt: newest versions with their hashes (asks the registry)
	@$(BIN)/python -m devtools.supply lock

sbom: $(VENV)/ready ## Make the SBOM and the licences of what is locked (installs it)
	@$(BIN)/python -m devtools.supply sbom

clean: ## Remove what was set up
	rm -rf $(VENV) .venvs devtools/node_modules

$(VENV)/ready: pyproject.toml requirements.txt
	@python='$(PYTHON)'; \
	test -n "$$python" || { echo "Python 3.11 to 3.14 with venv is needed" >&2; exit 1; }; \
	devtools/venv "$$python" $(VENV)

devtools/node_modules/ready: devtools/package-lock.json
	@echo "Installing Azurite …"
	@npm ci --prefix devtools --silent --no-audit --no-fund
	@touch $@
