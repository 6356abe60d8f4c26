# `make run` starts the house; `make test` and `make check` say whether a change holds. All of them install what they need.
BIN := .venv/bin
# What looks at the house but does not run it keeps its hands off .runboard.
# --reuse-db below: the cluster itself is thrown away, so nobody waits for its databases to be free to drop.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile
SCRATCH := RUNBOARD_HOME=$(CURDIR)/.venv/scratch

# Without bytecode each of the house's processes would compile everything anew at every start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check fix bench chaos screenshots lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */make \1\t/' | expand -t 14

run: ## start the board; READY names its address, user and password; Ctrl-C stops everything
	@python3 bootstrap.py run && exec $(BIN)/python manage.py up

test: ## everything, on SQLite and then on a PostgreSQL of its own, with real Redis, workers and browser
	@python3 bootstrap.py dev
	$(PYTEST)
	$(BIN)/python -m tests.services $(PYTEST) --reuse-db -m "database and not browser"

check: ## lint, format, types, import contracts, templates, migrations, deployment
	@python3 bootstrap.py dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 --check {} +
	$(SCRATCH) $(BIN)/python manage.py makemigrations --check --dry-run
	$(SCRATCH) RUNBOARD_HTTPS=true $(BIN)/python manage.py check --deploy --fail-level WARNING

fix: ## mend what can be mended
	@python3 bootstrap.py dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	-find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} +

bench: ## the figures, as JSON lines and tables, each in a scratch house of its own
	@python3 bootstrap.py dev
	$(BIN)/python manage.py bench engine
	$(BIN)/python manage.py bench executor
	$(BIN)/python manage.py bench board

chaos: ## the faults of docs/reliability.md, as JSON lines and a table, in scratch houses: about two hours (CHAOS="F3 --repeats 2" for less)
	@python3 bootstrap.py dev
	nice -n 5 $(BIN)/python manage.py chaos $(CHAOS)

screenshots: ## every page, light, dark and on a phone; the README’s picture of the board among them
	@python3 bootstrap.py dev
	$(BIN)/python -m tests.screenshots

lock: ## resolve the packages anew and export them with hashes
	$(BIN)/uv lock --upgrade
	$(BIN)/python -m tests.house.test_lock
