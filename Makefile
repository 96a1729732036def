# What can be done with this project. `make` alone lists it.
#
# Everything is run through cargo; nothing is downloaded by us but Debian's PostgreSQL, where there is
# none and apt can get it.

CARGO ?= cargo
SEEDS ?= 1 2 3 4 5 6 7 8 9 10

.DEFAULT_GOAL := help
.PHONY: help dev test check lint fmt storm faults bench bench-writer client example test-matrix postgres

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

dev: postgres ## a database with sample tables and a gateway, in one command
	$(CARGO) run --quiet -- dev

test: postgres ## all tests, against a real PostgreSQL
	scripts/test

check: lint test ## everything that must hold

lint: ## formatting, clippy and the generated SQL
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	sh sql/build.sh --check

fmt: ## format the code
	$(CARGO) fmt --all

storm: postgres ## the long tests: ten seeds of the storm, an update of a million rows
	PGFEED_TEST_SEEDS="$(SEEDS)" PGFEED_TEST_LONG=1 \
	  $(CARGO) test --locked --test gateway -- --nocapture --test-threads=1 storm:: bulk transports::

faults: postgres ## every row of the failure table, and two gateways with 2,000 clients behind nginx
	PGFEED_TEST_LONG=1 $(CARGO) test --locked --test gateway -- --test-threads=1 \
	  clocks:: exhausted:: faults:: frozen:: outage:: proxied:: reshaped:: retention::

bench: postgres ## measure against the peers; rewrites docs/measurements.md (about twenty minutes)
	bench/run

bench-writer: postgres ## what capture costs a write: bare, seed style, ours
	sh bench/writer/run.sh

client: ## check and test the npm package against a real gateway (needs node and npm)
	$(CARGO) build --locked
	cd client && npm ci && npm run build && npm run check && npm run size && npm test

example: postgres ## the academy: gateway, database, admin and student pages (needs node and npm)
	$(CARGO) build --locked
	cd client && npm ci && npm run build
	cd examples/academy && npm ci && npm start

test-matrix: ## the suite on PostgreSQL 14 to 18
	scripts/test-matrix

# PostgreSQL's server programs, got where they are missing.
postgres:
	@scripts/postgres
