# What can be done with this project. `make` alone lists it.
#
# Everything is run through cargo and npm; nothing else is downloaded by us but Debian's PostgreSQL and
# what the tests run beside it, where they are missing and apt can get them.

CARGO ?= cargo
# Where scripts/programs puts node if the machine's is too old.
export PATH := $(CURDIR)/target/node/node_modules/.bin:$(PATH)
SEEDS ?= 1 2 3 4 5 6 7 8 9 10

.DEFAULT_GOAL := help
.PHONY: help dev test check lint fmt storm faults fuzz bench bench-writer bench-deflate client console example test-matrix postgres programs

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

dev: postgres ## a database with sample tables and a gateway, in one command
	$(CARGO) build --locked
	$(CARGO) run --quiet --locked -- dev

test: postgres programs ## all tests: gateway, npm package, browser, against a real PostgreSQL
	scripts/test

check: lint test ## everything that must hold

lint: ## formatting, clippy and the generated SQL
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	sh sql/build.sh --check

fmt: ## format the code
	$(CARGO) fmt --all

storm: postgres ## the long tests: ten seeds of storms, ten thousand clients, a million rows
	PGFEED_TEST_SEEDS="$(SEEDS)" PGFEED_TEST_LONG=1 \
	  $(CARGO) test --release --locked --test gateway -- --nocapture --test-threads=1 \
	  storm:: sets:: herd:: slow:: snapshot:: bulk transports::

faults: postgres ## every row of the failure table, and two gateways with 2,000 clients behind nginx
	PGFEED_TEST_LONG=1 $(CARGO) test --locked --test gateway -- --test-threads=1 \
	  clocks:: exhausted:: faults:: frozen:: outage:: proxied:: reshaped:: retention::

fuzz: ## each fuzz target for ten minutes (needs a nightly compiler and cargo-fuzz)
	scripts/fuzz

bench: postgres ## measure against the peers; rewrites docs/measurements.md (about twenty minutes)
	bench/run

bench-writer: postgres ## what capture costs a write, on two disks (under six minutes)
	$(CARGO) build --release --locked -p pgfeed
	sh bench/writer/run.sh

bench-deflate: ## what compressing frames would cost and save (needs a C compiler and zlib.h)
	sh bench/deflate/run.sh

client: postgres programs ## check and test the npm package, the academy and the console (needs node 20 and npm 11)
	$(CARGO) build --locked
	scripts/test-client

console: postgres ## test the console in a real browser (needs node, npm and Chromium)
	$(CARGO) build --locked
	cd tests/console && npm ci && npm run check && npm test

example: postgres ## the academy: gateway, database, admin and student pages (needs node and npm)
	$(CARGO) build --locked
	cd client && npm ci && npm run build
	cd examples/academy && npm ci && npm start

test-matrix: ## the suite on PostgreSQL 14 to 18
	scripts/test-matrix

# PostgreSQL's server programs, got where they are missing.
postgres:
	@scripts/postgres

# What the tests run beside it: node, a browser, nginx, pgbouncer.
programs:
	@scripts/programs
