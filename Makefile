# `make run` starts the demo, `make test` proves it. Both set up what they need in .venv and are
# quick when nothing changed.

HOST ?= 127.0.0.1
PORT ?= 8000
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := multisession accounts config

# The first Python that is new enough. Some are only a sign that says where the real one is.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$python; break; }; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.PHONY: help run test test-ecosystem lint types format check clean

help:
	@echo "make run [PORT=8000]  the demo on http://$(HOST):$(PORT)/"
	@echo "make test [ARGS=…]    the tests, those in a browser included"
	@echo "make test-ecosystem   the stories told with other packages: allauth, DRF, Channels, …"
	@echo "make lint             ruff, rules and format"
	@echo "make types            mypy, strict"
	@echo "make check            all of these"
	@echo "make format           let ruff rewrite the code"
	@echo "make clean            remove what these commands made; the database stays"

run: $(VENV)/demo.stamp
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo_accounts --address http://$(HOST):$(PORT)/
	@exec $(BIN)/python manage.py runserver $(HOST):$(PORT)

test: $(VENV)/test.stamp
	@chromium=$$($(BIN)/python -m tests.browser.chromium --install </dev/null) && \
	CHROMIUM="$$chromium" $(BIN)/python -m pytest $(ARGS)

# With other settings, in a run of their own.
test-ecosystem: $(VENV)/ecosystem.stamp
	$(BIN)/python -m pytest --ds=tests.ecosystem.settings tests/ecosystem $(ARGS)

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/lint.stamp
	$(BIN)/mypy $(SOURCES)

format: $(VENV)/lint.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: test lint types

clean:
	rm -rf $(VENV) staticfiles .mypy_cache .pytest_cache .ruff_cache

# A stamp is as old as the last complete installation of its requirements.
$(VENV)/demo.stamp: requirements/demo.txt
$(VENV)/test.stamp: requirements/test.txt requirements/demo.txt
$(VENV)/ecosystem.stamp: requirements/ecosystem.txt requirements/test.txt requirements/demo.txt
$(VENV)/lint.stamp: requirements/lint.txt requirements/test.txt requirements/demo.txt
$(VENV)/%.stamp: $(VENV)/made
	@echo "Installing requirements/$*.txt …"
	@$(BIN)/python -m pip install --quiet --requirement requirements/$*.txt
	@touch $@

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
