# `make` alone lists the commands.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Asked before anything of Specola is read, where an older Python would end in a traceback.
NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Specola needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": name another one, such as PYTHON=python3.12")'
UP = $(NEW_ENOUGH) && $(PYTHON) -m scripts.up
# Most tests wait most of their time: more workers than processors keep these busy.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 3 )))

.DEFAULT_GOAL := help
.PHONY: help up down clean status reload upgrade backup restore bad-day drill tour traffic api-key find report view retrieval test check format dashboards queries pictures rules mutants fuzz bench chaos canaries secrets staging-check lock upgrade-packages

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## the whole stack, then a gentle load (TRAFFIC=0 for none, LOCAL=1 for processes instead of containers)
	@$(UP)

down: ## stops the stack; data is kept
	@$(UP) down

clean: ## stops the stack and removes its data, after asking (YES=1 does not ask)
	@$(UP) clean

status: ## what runs, and where
	@$(UP) status

reload: ## has Prometheus and Alertmanager read their files again
	@$(UP) reload

upgrade: $(VENV)/run ## what runs to the version that is checked out, or to TO=v1.1.0, part by part; back to what ran if one fails (FROM=…)
	@$(RUN) -m scripts.upgrade

backup: $(VENV)/run ## one archive of every store of the stack that runs, in backups/ (its README.md says how to encrypt it)
	@$(RUN) -m scripts.backup backup

secrets: $(VENV)/run ## every secret of the staging overlay as a file in secrets/staging, and certificates for its parts; ROTATE=name (or tls) makes anew
	@$(RUN) -m scripts.staging.secrets

staging-check: $(VENV)/run ## what the staging overlay lacks: variables, secrets, port, certificate, disk, clock
	@$(RUN) -m scripts.staging.check

restore: $(VENV)/run ## the data of an archive in place of what is here, after asking: FROM=backups/… KEY=file YES=1
	@$(RUN) -m scripts.backup restore $(FROM) $(KEY)

traffic: $(VENV)/run ## users at work: RATE=5 requests a second for SECONDS=60 (0: until interrupted)
	@$(RUN) -m scripts.traffic

api-key: $(VENV)/run ## NAME=… SCOPES=chat,documents RATE=600 (calls a minute): a new API key; REVOKE=its name ends it; alone: the list
	@$(RUN) -m scripts.api_key

find: $(VENV)/run ## the story of one request: ID=a request id or a trace id; ERRORS=1 SINCE=15m lists the failed ones
	@$(RUN) -m scripts.find

retrieval: $(VENV)/run ## how often the local AI finds the right document first
	@$(RUN) -m scripts.retrieval

bad-day: $(VENV)/run ## how often who is told on a day of 40 faults, played in MINUTES=6
	@$(RUN) -m scripts.bad_day

report: $(VENV)/run ## the week and every dashboard as one page in reports/: DASHBOARD=ai-chat-analytics SINCE=7d FORMAT=pdf
	@$(RUN) -m scripts.report

view: $(VENV)/run ## the same on http://127.0.0.1:3001 (VIEW_PORT), drawn anew while it is open
	@$(RUN) -m scripts.report.view

drill: $(VENV)/run ## a real fault, followed until its alert is delivered and over: ALERT=AIServiceDown, or ALL=1
	@$(RUN) -m scripts.drill

tour: $(VENV)/dev ## a first half hour, step by step: IN=it in Italian, PAGE=1 as a page, AUTO=1 takes itself
	@$(RUN) -m scripts.tour

test: $(VENV)/dev ## what this machine can run within minutes, and what it could not and why; LONG=1 for the long ones, too
	@$(RUN) -m pytest -m "not quiet" -n $(WORKERS) --cov --cov-report=; others=$$?; \
	  $(RUN) -m pytest -m quiet --cov --cov-append --cov-report=; quiet=$$?; \
	  $(RUN) -m coverage report --include='backend/app/*,scripts/*'; exit $$((others || quiet))

check: $(VENV)/dev ## formatting, types, configuration and dashboards, without starting anything; LIVE=1 asks the stack that runs
	$(VENV)/bin/ruff format --check -q .
	$(VENV)/bin/ruff check -q .
	$(VENV)/bin/mypy
	$(VENV)/bin/yamllint --strict .
	$(VENV)/bin/shellcheck .ci/run scripts/staging/*.sh
	$(VENV)/bin/hadolint backend/Dockerfile mongodb/Dockerfile
	$(RUN) -m monitoring.dashboards --check
	$(RUN) -m monitoring.slo --check
	$(RUN) -m monitoring.absent --check
	$(RUN) -m monitoring.escalation --check
	$(RUN) -m pytest -q tests/config
	$(if $(LIVE),$(RUN) -m scripts.live)

format: $(VENV)/dev ## formats the Python code
	@$(VENV)/bin/ruff format -q . && $(VENV)/bin/ruff check -q --fix .

rules: $(VENV)/dev ## writes prometheus/rules/objectives.yml from monitoring/slo.yml, and absent.yml from all rules
	@$(RUN) -m monitoring.slo && $(RUN) -m monitoring.absent

mutants: $(VENV)/dev ## mistakes in Prometheus' rules, one by one: does a test notice each? (ARGS="--alert HighErrorRate")
	@$(RUN) -m scripts.rules_mutation $(ARGS)

dashboards: $(VENV)/run ## writes grafana/dashboards/*.json from monitoring/dashboards/
	@$(RUN) -m monitoring.dashboards

queries: $(VENV)/dev ## has logcli and Tempo judge the dashboards' LogQL and TraceQL, and keeps what they accept
	@$(RUN) -m monitoring.dashboards.judged

pictures: $(VENV)/dev ## opens every dashboard in Grafana and Chromium after TRAFFIC_SECONDS=600, and keeps docs/pictures/*.png
	@LONG=1 PICTURES=docs/pictures TRAFFIC_SECONDS=$(or $(TRAFFIC_SECONDS),600) $(RUN) -m pytest -q tests/e2e/test_dashboards.py

fuzz: $(VENV)/dev ## malformed requests and uploads: COUNT=100000
	@$(RUN) -m scripts.fuzz

bench: $(VENV)/dev ## what it costs, beside what others cost: PARTS="cost metrics queries server shipping stack", all by default
	@$(RUN) -m scripts.bench $(PARTS)

chaos: $(VENV)/run ## kills, freezes and cuts off part after part for MINUTES=10, then compares; LOAD=1 sends ten times the load
	@$(RUN) -m scripts.chaos

canaries: $(VENV)/run ## plants made-up secrets in every input, and looks for them in every store
	@$(RUN) -m scripts.canaries

# The commands stand in the files' first lines, where Renovate reads them: with `=`, and no option that it does not know.
lock: $(VENV)/dev ## pins the packages of pyproject.toml with hashes
	@for target in "--output-file=backend/requirements.txt backend/pyproject.toml" \
	  "--constraint=backend/requirements.txt --output-file=requirements.txt backend/pyproject.toml pyproject.toml" \
	  "--constraint=requirements.txt --group=pyproject.toml:dev --output-file=requirements-dev.txt backend/pyproject.toml pyproject.toml"; do \
	  $(VENV)/bin/uv pip compile -q $(UPGRADE) --universal --python-version=3.11 --generate-hashes $$target || exit 1; done

upgrade-packages: ## the same with the newest versions
	@$(MAKE) lock UPGRADE=--upgrade

# The environment, made anew when a pinned package changes: `run` to use Specola, `dev` to work on it.
# --no-deps: the files name all there is; pip would look up what they already pin, and stumble over each new release of
# a package that is asked for with an extra.
FROZEN := -q --disable-pip-version-check --no-deps --require-hashes
# What a failed attempt left (Debian without python3-venv) would be taken for the environment the next time.
$(VENV)/bin/python:
	@$(NEW_ENOUGH)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/run: requirements.txt $(VENV)/bin/python
	@echo "installing what it takes to run (once)"
	@$(RUN) -m pip install $(FROZEN) -r requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/run
	@echo "installing what it takes to work on it (once)"
	@$(RUN) -m pip install $(FROZEN) -r requirements-dev.txt
	@touch $@
