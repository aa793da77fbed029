# Waitroom: all that a newcomer, a developer or a CI runs. `make` alone lists the targets.
#
# The machine needs python >= 3.11 and make; everything else arrives as wheels in .venv.
# What people read goes to stderr, so that `make bench` has nothing but JSON lines on stdout.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.SUFFIXES:

# Some images forbid Python to keep what it compiled. Then every run and every process that a test starts compiles
# all of it again, which is a tenth of the tests' time.
unexport PYTHONDONTWRITEBYTECODE

VENV ?= .venv
BIN := $(VENV)/bin

# demo
CROWD ?= 0
PORT ?= 8080
OPERATOR_PORT ?= 8081
SHOP_PORT ?= 8082
DATA ?= .demo
WORKERS ?= 1
# bench
NAME ?= join
# crowd
URL ?= http://127.0.0.1:$(PORT)
ROOM ?= main
FANS ?= 2000
# Of a demo on this machine the crowd also checks limits and sessions: it may ask the operator's port and the journal.
WATCHED = --operator-url "http://127.0.0.1:$(OPERATOR_PORT)" --operator-token-file "$(DATA)/operator-token" \
	--journal-url "sqlite:///$(DATA)/journal.db"
# and what is paid: against its books, and with SANDBOX=URL, as the demo tells it, against its bank's.
SANDBOX ?=
BOOKS = --books "$(DATA)" $(if $(SANDBOX),--sandbox-url "$(SANDBOX)")
# test: so many files at a time
SPLIT ?= 2
# races
ROUNDS ?= 10000
# drill: FORM=--short takes tens of seconds
FORM ?=
# soak: SEED= repeats a day
MINUTES ?= 10
SEED ?=
DATABASE ?= sqlite
# screenshots
OUT ?= report/screens

.PHONY: help venv setup demo test test-fast coverage lint bench drill soak races crowd screenshots docs docker-lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

venv: $(VENV)/.all ## create .venv with everything that demo, tests and lint need

$(VENV)/.server: pyproject.toml .ci/venv
	@sh .ci/venv "$(VENV)" server 1>&2

$(VENV)/.all: pyproject.toml .ci/venv
	@sh .ci/venv "$(VENV)" server,postgres,test 1>&2
	@touch "$(VENV)/.server"

setup: $(VENV)/.all ## install nginx, wrk, chromium, prometheus and alertmanager, which tests and benchmarks drive
	@sh .ci/setup 1>&2

demo: $(VENV)/.server ## run it all: waiting room, gate, shop (CROWD=2000 PORT=8080 DATA=.demo WORKERS=1)
	@exec "$(BIN)/waitroom" demo --port "$(PORT)" --operator-port "$(OPERATOR_PORT)" --shop-port "$(SHOP_PORT)" \
		--data "$(DATA)" --workers "$(WORKERS)" --crowd "$(CROWD)"

test: setup ## run every test, crowds after the others (SPLIT=2 files at a time, then as many crowds)
	@"$(BIN)/python" -m pytest -q -n "$(SPLIT)" --dist loadfile -m "not crowd"
	@"$(BIN)/python" -m pytest -q -n "$(SPLIT)" --dist load --maxschedchunk 1 --timeout 600 -m crowd tests/process

test-fast: $(VENV)/.all ## run the tests that start no browser and no processes of the product
	@"$(BIN)/python" -m pytest -q -m "not process and not browser and not postgres and not slow"

coverage: $(VENV)/.all ## measure the branches of the pure rules that their tests reach
	@"$(BIN)/python" -m pytest -q -m "not process and not browser and not postgres and not slow" \
		tests/waitroom tests/admission --cov --cov-report=
	@"$(BIN)/coverage" report --include="$$("$(BIN)/python" .ci/rules)"

lint: $(VENV)/.all ## check style, format, types and the walls between packages
	@"$(BIN)/ruff" check --quiet .
	@"$(BIN)/ruff" format --quiet --check .
	@"$(BIN)/mypy" --no-error-summary
	@"$(BIN)/lint-imports" --no-cache >/dev/null || "$(BIN)/lint-imports" --no-cache

bench: setup ## measure one figure as JSON lines (NAME=join; a wrong NAME lists them)
	@"$(BIN)/python" -m bench "$(NAME)"

drill: $(VENV)/.all ## play a hard day and check it (NAME=lottery|flash|match|step|sockets|sale|wreck|paying|alarm FORM=--short)
	@"$(BIN)/python" -m bench.drills $(FORM) "$(NAME)"

soak: $(VENV)/.all ## sell for MINUTES=10 while everything is killed by SEED= (DATABASE=sqlite|postgresql), check all invariants
	@"$(BIN)/python" -m bench.drills.soak --minutes "$(MINUTES)" --database "$(DATABASE)" $(if $(SEED),--seed "$(SEED)")

races: $(VENV)/.all ## race release, expiry and reservation for one hold (ROUNDS=10000, on SQLite and PostgreSQL)
	@RACE_ROUNDS="$(ROUNDS)" "$(BIN)/python" -m pytest -q tests/checkout/sales/test_reserving_races.py -k one_wins

crowd: $(VENV)/.server ## send FANS=2000 simulated fans to a running demo (URL= ROOM= DATA= SANDBOX=) and check what they saw
	@mkdir -p report
	@exec "$(BIN)/waitroom" crowd "$(URL)" --room "$(ROOM)" --fans "$(FANS)" --report report/crowd.html \
		$(if $(wildcard $(DATA)/operator-token),$(WATCHED)) $(if $(wildcard $(DATA)/shop.db),$(BOOKS))

screenshots: setup ## take pictures of the waiting page in every state (OUT=report/screens), sheets into docs/pictures; and of back office and console
	@"$(BIN)/python" -m bench.screenshots "$(OUT)" --sheets docs/pictures
	@"$(BIN)/python" -m bench.office_screenshots "$(OUT)"
	@"$(BIN)/python" -m bench.console_screenshots "$(OUT)" --picture docs/pictures/console.png

docs: $(VENV)/.all ## write the pages that list settings, metrics, errors …, boards, alerts and runbooks, from the code
	@"$(BIN)/python" -m tests.house.reference
	@"$(BIN)/python" -m tests.house.observing

docker-lint: $(VENV)/.all ## check the Dockerfile against the house's rules
	@"$(BIN)/python" -m pytest -q tests/house/test_dockerfile.py

clean: ## remove .venv, caches and the demo's data
	@rm -rf "$(VENV)" .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -rf .import_linter_cache .grimp_cache .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
