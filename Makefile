# Social Flow. `make` lists what there is.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
VENV ?= .venv
RUN = $(VENV)/bin
SETUP = $(PYTHON) cluster/bootstrap.py --venv $(VENV)
.DEFAULT_GOAL := help
.PHONY: help python setup up down status doctor seed test check fmt openapi bench page clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1mmake %-9s\033[0m %s\n", $$1, $$2}'

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing. On Debian: apt-get install python3 python3-venv; then run make again."; exit 1; }

setup: python ## Install everything into .venv and build the page
	@$(SETUP)

up: setup ## Set up what is missing and run the product (Ctrl-C stops it)
	@exec $(RUN)/socialflow up

down: setup ## Stop the product, also one whose terminal is gone
	@$(RUN)/socialflow down

status: setup ## Show every part: process, CPU, memory, health
	@$(RUN)/socialflow status

doctor: setup ## Check this machine and say what to mend
	@$(RUN)/socialflow doctor

seed: setup ## Fill a running product with a small believable world
	@$(RUN)/socialflow seed

test: python ## Run the whole test suite in three processes (installs its tools first)
	@$(SETUP) --dev --tools
	@$(RUN)/python -m cluster.suite $(ARGS)

check: python ## Lint, types, contracts and unit tests: under a minute
	@$(SETUP) --dev --no-page
	@$(RUN)/python -m cluster.check

fmt: python ## Format the code
	@$(SETUP) --dev --no-page
	@$(RUN)/ruff check --fix-only -q . ; $(RUN)/ruff format -q .

openapi: setup ## Write docs/openapi.json, docs/settings.md and the page's message types
	@$(RUN)/socialflow openapi --write docs/openapi.json --messages web/src/kit/messages.ts
	@$(RUN)/socialflow settings --markdown --write docs/settings.md

bench: python ## Run every benchmark and write its last output
	@$(SETUP) --dev --tools
	@$(RUN)/python -m benchmarks $(ARGS)

page: ## Build the page only
	@$(SETUP) --only-page

clean: ## Remove what setup made (never your data)
	rm -rf $(VENV) web/dist web/node_modules
