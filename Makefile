# WhatsApp campaigns on Airflow. `make demo` is the front door; everything runs from .venv.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
STAMP := $(VENV)/.installed
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# The first of these that fits; or name one: make setup PYTHON=python3.12
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
# The system's certificates where there are some: behind a company's proxy uv's own do not suffice.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)
RESOLVE := pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --upgrade

.DEFAULT_GOAL := help
.PHONY: help demo setup test browser lint format bench up down clean requirements

help:  ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: setup  ## everything on this machine, with sample data; stays up until Ctrl-C (ONCE=1: checks the books and exits)
	@exec $(BIN)/python -m include.local.demo $(if $(ONCE),--once)

setup: $(STAMP)  ## create .venv with the pinned requirements

test: setup browser  ## every test; ARGS="tests/local -x" for some
	@exec $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope $(ARGS)

lint: setup  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup  ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

bench: setup  ## measure, and write build/bench.json
	@exec $(BIN)/whatsapp bench all

up: .env  ## start it with docker compose, as in production
	docker compose up --detach --build --wait

down:  ## stop what `make up` started; its data stay
	docker compose down

clean:  ## remove what was built here: .venv, build, and the folders of demos that are not running
	@$(PYTHON) -m include.local.clean
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

requirements: $(VENV)/.uv  ## refresh both pinned lists from pyproject.toml
	$(UV) $(RESOLVE) -o requirements.txt pyproject.toml
	$(UV) $(RESOLVE) -c requirements.txt --group dev -o requirements-dev.txt
	echo '-e .' >> requirements.txt

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml $(VENV)/.uv
	@echo "installing the requirements into $(VENV) ($$($(BIN)/python --version))"
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements.txt -r requirements-dev.txt
	@touch $@

$(VENV)/.uv:
	@$(or $(PYTHON),python3) -c '$(SUPPORTED)' || { \
		echo "make: Python 3.11, 3.12 or 3.13 is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "make: $(PYTHON) cannot make a virtual environment. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# The browser test needs a Chromium. Root on Debian gets one; elsewhere the test says why it is skipped.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing chromium for the browser test" \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "no chromium here and it could not be installed: the browser test will be skipped"

.env:
	@echo "make: copy .env.example to .env and fill it in first" >&2; exit 1
