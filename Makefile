# The commands to remember. The first one creates .venv from requirements.lock.

SHELL := /bin/bash
PYTHON := .venv/bin/python
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up test test-slow test-all test-postgres test-jdbc test-kafka test-s3 test-rest test-kills test-browser test-first-look test-mcp test-wheel test-k8s check docs kustomize pictures bench java lock clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf 'make %-16s %s\n' "$$name" "$$text"; done

demo: $(READY) java ## Take the flights example to production and back, in DRLS_HOME
	$(PYTHON) -m drls_dagster.cli.main demo

up: $(READY) java ## Start Dagster and the approvals app on this machine, until Ctrl-C
	$(PYTHON) -m drls_dagster.cli.main up

test: $(READY) java ## Run the tests that need no server, browser or Kubernetes
	@scripts/test.sh "not slow"

test-slow: $(READY) java ## Run the slow ones, which widen the coverage
	@scripts/test.sh slow

test-all: test test-slow ## Run both

test-postgres: $(READY) java ## Start a PostgreSQL server and run the tests that need it, but not the engine
	@scripts/postgres.sh
	$(PYTHON) -m pytest -m "postgres and not engine"

test-jdbc: $(READY) java ## Start a PostgreSQL server and run the tests that need it and the engine
	@scripts/postgres.sh
	$(PYTHON) -m pytest -m "postgres and engine"

test-kafka: $(READY) java ## Start a Kafka broker and run the tests that need it
	@scripts/kafka.sh
	$(PYTHON) -m pytest -m kafka

test-s3: $(READY) ## Start an S3 server and run the tests that need it
	@scripts/postgres.sh
	@scripts/versitygw.sh >/dev/null
	$(PYTHON) -m pytest -m s3

test-rest: $(READY) java ## Start an Iceberg REST server and run the tests that need it
	@scripts/iceberg_rest.sh >/dev/null
	$(PYTHON) -m pytest -m rest

test-kills: $(READY) java ## Run the tests that kill parts of the engine while it works
	$(PYTHON) -m pytest -m kills

test-browser: $(READY) java ## Run the tests that open pages in Chromium, but need no engine
	@scripts/chromium.sh
	$(PYTHON) -m pytest -m "browser and not engine"

test-first-look: $(READY) java ## Run the tests that open pages in Chromium and need the engine
	@scripts/chromium.sh
	$(PYTHON) -m pytest -m "browser and engine"

test-mcp: $(READY) ## Run the official MCP conformance suite against our server
	@scripts/conformance.sh >/dev/null
	$(PYTHON) -m pytest -m mcp

test-wheel: $(READY) java ## Install the wheel into clean environments outside the checkout, and run the demo there
	@scripts/wheel.sh

test-k8s: $(READY) ## As root, start a Kubernetes node, install the chart on it, and take a pipeline to production there
	@scripts/k8s.sh

check: $(READY) ## Lint, format, types, import layers, lock file, English
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright
	.venv/bin/lint-imports
	$(PYTHON) scripts/check_circles.py
	$(PYTHON) scripts/draw_layers.py --check
	$(PYTHON) scripts/check_lock.py
	$(PYTHON) scripts/check_english.py

docs: $(READY) ## Write docs/reference, the list of decisions and the layers in the design, from the code
	$(PYTHON) scripts/reference
	$(PYTHON) scripts/draw_layers.py

kustomize: $(READY) ## Render the base of deploy/kustomize from the chart
	@scripts/kustomize.sh > .kustomize.new && mv .kustomize.new deploy/kustomize/base/drls.yaml

pictures: $(READY) java ## Take the pictures of the documentation again, from drls up --seed-demo
	@scripts/chromium.sh
	PICTURES=docs/pictures $(PYTHON) -m pytest tests/drls_dagster/up/test_first_look.py
	PICTURES=docs/pictures $(PYTHON) -m pytest tests/agent/web/test_chat_browser.py -k picture_of_the_documentation
	PICTURES=docs/pictures $(PYTHON) -m pytest tests/drls_dagster/web/test_tables_browser.py -k pictures_of_the_documentation
	TRANSCRIPT=docs/how-to/agents-transcript.md $(PYTHON) -m pytest tests/agent/test_flights_story.py -k http

bench: $(READY) java ## Measure every claim of speed
	$(PYTHON) -m benchmarks

java: $(READY) ## Find a JDK 17 or 21, or install one if possible
	@scripts/java.sh

lock: ## Resolve requirements.lock again from pyproject.toml
	uv="$$(scripts/uv.sh)" && "$$uv" pip compile pyproject.toml --group dev --all-extras --universal \
		--prerelease=if-necessary-or-explicit --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean: ## Remove .venv and everything else that make created; DRLS_HOME stays
	rm -rf .venv .uv dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@scripts/bootstrap.sh
	@touch $@
