# `make run` starts the demo, `make test` proves it. Both set up what they need in .venv and are
# quick when nothing changed.

HOST ?= 127.0.0.1
PORT ?= 8000
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := multisession accounts config tools

# The first Python that is new enough. Some are only a sign that says where the real one is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$python; break; }; done)

# As many processes as the machine has cores; each has a database of its own.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.PHONY: help run quick test test-ecosystem test-strangers test-strangers-suites test-sdk test-sdk-here \
	test-postgresql test-mariadb test-mariadb-repeatable-read test-postgresql-repeatable-read \
	test-replica test-under-prefix test-all stories load matrix \
	test-prerelease conformance conformance-quick screenshots messages bench bench-check always \
	lint types docs format check clean

help:
	@echo "To begin"
	@echo "  make run [PORT=8000]   start the demo on http://$(HOST):$(PORT)/"
	@echo "  make quick [ARGS=…]    run the quick tests while you edit, without a browser"
	@echo "  make format            let ruff rewrite the code"
	@echo "  make check             run what a change has to pass: test, lint, types and docs"
	@echo "  make clean             remove what these commands made, except for the database"
	@echo
	@echo "Tests"
	@echo "  make test [ARGS=…]     run all tests on SQLite, those in a real browser included"
	@echo "  make test-postgresql   run the tests on a PostgreSQL server on this machine"
	@echo "  make test-mariadb      run the tests on a MariaDB server on this machine"
	@echo "  make test-replica      start a PostgreSQL with a streaming replica and test on it"
	@echo "  make test-under-prefix  run the tests below /u/N/, in the tab of an account"
	@echo "  make test-all          run the tests on SQLite and on every server that answers here"
	@echo "  make matrix            run the tests on every Django, each with its own Python"
	@echo "  make test-prerelease   run the tests on Django's next version, if there is a pre-release"
	@echo "  make test-ecosystem    test together with allauth, REST framework, Channels, …"
	@echo "  make test-strangers    build the package, install it in other projects, test there"
	@echo "  make test-strangers-suites  run other packages' own tests on our engine"
	@echo "  make test-sdk          run Clerk's SDKs, and frameworks' pages with Clerk's stores, on our server"
	@echo "  make conformance       run Django's own tests on our engine; writes docs/explanation/conformance.md"
	@echo "  make stories STEPS=n   compare the engine with a model, n steps of random stories"
	@echo "  make load [OPERATIONS=n]  let browsers with several tabs use real servers: docs/explanation/load.md"
	@echo "  make lint              check rules and format with ruff"
	@echo "  make types             check types with mypy"
	@echo
	@echo "Measure and write"
	@echo "  make bench [QUICK=1]   measure sessions: ours, Django's and other packages'"
	@echo "  make bench-page        one measurement; the others: accounts, postgresql, rows, load"
	@echo "  make bench-check       fail if something costs more statements or instructions than before"
	@echo "  make screenshots       take the pictures of docs/howto/user-button.md from the demo"
	@echo "  make docs              build the documentation and follow its links: build/docs/index.html"
	@echo "  make messages          update the translations; LANGUAGES=it begins another language"

run: $(VENV)/demo.stamp
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo_accounts --address http://$(HOST):$(PORT)/
	@exec $(BIN)/python manage.py runserver $(HOST):$(PORT)

test: $(VENV)/test.stamp tests/browser/pages/node_modules/made
	@chromium=$$($(BIN)/python -m tests.browser.chromium --install </dev/null) && \
	CHROMIUM="$$chromium" $(PYTEST) $(ARGS)

# While editing. Left out: the browser, and the files that take longest, which `make test` runs.
SLOW := test_accounts test_actions test_add_account test_admin test_admin_events \
	test_admin_list test_asgi_server test_async_pages test_cached_db test_chooser test_concurrency \
	test_demo test_guard test_lists test_load_check test_notice test_offers test_other_projects \
	test_replicas test_session_commands test_signing_in_again test_state_machine test_test \
	test_token_search test_upgrade test_views test_wrong_account_table test_sending test_devices
quick: $(VENV)/test.stamp
	@$(PYTEST) -q -m "not browser and not once" $(SLOW:%=--ignore=tests/%.py) $(ARGS)

# With other settings, in a run of their own.
test-ecosystem: $(VENV)/ecosystem.stamp
	$(BIN)/python -m pytest --ds=tests.ecosystem.settings tests/ecosystem $(ARGS)

# Each project runs in a process and an environment of its own, kept in .strangers. On one Django
# alone: STRANGERS_DJANGO=6.1. The tests of one class or file share a project, and so a process.
test-strangers: $(VENV)/test.stamp tests/strangers/pages/node_modules/made
	$(PYTEST) --dist loadscope -m strangers tests/strangers $(ARGS)

# The other packages' own tests take their time, so they are no part of test-strangers.
test-strangers-suites: $(VENV)/test.stamp
	$(BIN)/python -m tests.strangers.suites

# Clerk's SDKs bring many packages along, so they have an environment of their own.
test-sdk:
	@$(MAKE) --no-print-directory VENV=$(VENV)-sdk test-sdk-here

test-sdk-here: $(VENV)/clerk.stamp tests/sdk/node_modules/made tests/sdk/pages/node_modules/made
	$(BIN)/python -m pytest -m sdk tests/sdk $(ARGS)

# The browser tests are the same on every database. Where no server answers, it says so.
test-postgresql test-mariadb: test-%: $(VENV)/databases.stamp
	@url=$$($(BIN)/python -m tools.servers $*) && if [ -n "$$url" ]; then \
	echo "On $$url" && export DATABASE_URL="$$url" && \
	$(PYTEST) -m "not browser" $(ARGS); fi

# Starts a PostgreSQL and a replica of it, on ports of their own. Part of test-postgresql, too.
test-replica: $(VENV)/databases.stamp
	DATABASE_URL=postgresql:///not-asked $(BIN)/python -m pytest tests/test_replicas.py $(ARGS)

# Stricter than Django's default: MariaDB's own default, and what a project may choose on PostgreSQL.
test-mariadb-repeatable-read: TESTS := tests/test_concurrency.py tests/test_session_limit.py
test-mariadb-repeatable-read: LEVEL := repeatable+read
test-postgresql-repeatable-read: TESTS := tests/test_session_limit.py
test-postgresql-repeatable-read: LEVEL := 3
test-mariadb-repeatable-read test-postgresql-repeatable-read: test-%-repeatable-read: $(VENV)/databases.stamp
	@url=$$($(BIN)/python -m tools.servers $*) && if [ -n "$$url" ]; then \
	case "$$url" in *\?*) url="$$url&";; *) url="$$url?";; esac && \
	export DATABASE_URL="$${url}isolation_level=$(LEVEL)" && echo "On $$DATABASE_URL" && \
	$(PYTEST) $(TESTS) $(ARGS); fi

# With one account in each tab, as if each test stayed in the tab of an account.
test-under-prefix: $(VENV)/test.stamp
	ACCOUNT_PATHS=1 $(PYTEST) -q -p tests.under_prefix -m "not browser and not once" $(ARGS)

test-all: test test-postgresql test-mariadb test-mariadb-repeatable-read test-postgresql-repeatable-read

stories: STEPS ?= 10000
stories: $(VENV)/test.stamp
	STEPS=$(STEPS) $(BIN)/python -m pytest tests/test_state_machine.py $(ARGS)

# OPERATIONS, SERVER, DATABASE, BROWSERS, TABS, LATENCY, KILL, ONLY, SEED, …: docs/explanation/load.md.
load: $(VENV)/load.stamp
	@$(BIN)/python -m tools.load

matrix: $(VENV)/matrix.stamp $(VENV)/test.stamp
	@chromium=$$($(BIN)/python -m tests.browser.chromium --install </dev/null) && \
	CHROMIUM="$$chromium" $(BIN)/python -m nox --session tests -- $(ARGS)

# For every night: what will break with Django's next version?
test-prerelease: $(VENV)/matrix.stamp $(VENV)/test.stamp
	@chromium=$$($(BIN)/python -m tests.browser.chromium --install </dev/null) && \
	CHROMIUM="$$chromium" $(BIN)/python -m nox --session prerelease -- $(ARGS)

conformance: $(VENV)/made
	@$(BIN)/python -m tools.conformance

conformance-quick: $(VENV)/made
	@$(BIN)/python -m tools.conformance --quick

# For names in every script: apt-get install fonts-noto-core fonts-noto-color-emoji fonts-wqy-zenhei
screenshots: $(VENV)/test.stamp
	@chromium=$$($(BIN)/python -m tests.browser.chromium --install </dev/null) && \
	CHROMIUM="$$chromium" $(BIN)/python -m tools.screenshots $(ARGS)

# What can't be installed beside Django alone has an environment of its own.
BENCH := bench-page bench-accounts bench-postgresql bench-rows
.PHONY: $(BENCH)
PEERS := django user-sessions qsessions allauth demo

bench $(BENCH): $(foreach name,$(PEERS),.bench/$(name)/bench-$(name).stamp)
	@QUICK=$(QUICK) .bench/django/bin/python -m benchmarks $(filter-out bench,$(@:bench-%=%))

bench-check: .bench/django/bench-django.stamp
	@.bench/django/bin/python -m benchmarks.check $(ARGS)

.bench/%.stamp: always
	@$(MAKE) --silent --no-print-directory VENV=$(@D) $@

# Needs GNU gettext: apt-get install gettext
messages: $(VENV)/demo.stamp
	@DEBUG=1 $(BIN)/python -m tools.messages $(LANGUAGES)

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/lint.stamp
	$(BIN)/mypy $(SOURCES)

# Every warning is an error, and every internal link is followed.
docs: $(VENV)/docs.stamp docs/node_modules/made
	@$(BIN)/python -m tools.site

format: $(VENV)/lint.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: test lint types docs

clean:
	rm -rf build/docs docs/node_modules $(VENV) $(VENV)-sdk .bench .nox .strangers .hypothesis staticfiles tests/sdk/node_modules \
		tests/sdk/pages/node_modules tests/strangers/pages/node_modules tests/browser/pages/node_modules \
		.mypy_cache .pytest_cache .ruff_cache

# A stamp is as old as the last complete installation of its requirements.
$(VENV)/demo.stamp: requirements/demo.txt
$(VENV)/test.stamp: requirements/test.txt requirements/demo.txt
$(VENV)/ecosystem.stamp: requirements/ecosystem.txt requirements/test.txt requirements/demo.txt
$(VENV)/clerk.stamp: requirements/clerk.txt requirements/test.txt requirements/demo.txt
$(VENV)/databases.stamp: requirements/databases.txt requirements/test.txt requirements/demo.txt
$(VENV)/databases.stamp: requirements/postgres.txt requirements/mysql.txt
$(VENV)/load.stamp: requirements/load.txt requirements/demo.txt
$(VENV)/load.stamp: requirements/postgres.txt requirements/mysql.txt
$(VENV)/matrix.stamp: requirements/matrix.txt
$(VENV)/docs.stamp: requirements/docs.txt
$(VENV)/lint.stamp: requirements/lint.txt requirements/test.txt requirements/demo.txt
$(VENV)/lint.stamp: requirements/matrix.txt
$(foreach name,$(PEERS),$(VENV)/bench-$(name).stamp): requirements/bench-django.txt
$(VENV)/bench-demo.stamp: requirements/demo.txt requirements/postgres.txt
$(VENV)/%.stamp: $(VENV)/made
	@echo "Installing requirements/$*.txt …"
	@$(BIN)/python -m pip install --quiet --requirement requirements/$*.txt
	@touch $@

# Without Node its tests are left out, and say so.
docs/node_modules/made tests/browser/pages/node_modules/made tests/sdk/node_modules/made tests/sdk/pages/node_modules/made tests/strangers/pages/node_modules/made: \
		%/node_modules/made: %/package.json
	@if command -v npm >/dev/null; then \
	echo "Installing $< …" && cd $* && \
	npm install --loglevel=error </dev/null && touch node_modules/made; fi

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
