# The verbs of this project. `make help` lists them.
SUITES ?=
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: help run check test bench fuzz documents

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## run the server with the development application
	cargo run --release -p courant -- serve

check: ## what CI looks at before the slow parts: format, lint, documentation
	tests/run format lint documentation

test: ## everything; SUITES="rust python" for some of it, tests/run --list for their names
	tests/run $(SUITES)

bench: ## measure against Sockudo and write docs/performance.md; needs an idle machine
	tests/bench/compare

fuzz: ## each fuzz target for FUZZ_SECONDS; needs a nightly toolchain and cargo-fuzz
	cd fuzz && for target in $(FUZZ_TARGETS); do \
	  cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 || exit 1; \
	done

documents: ## write the pages and files that are made from tables in the code
	cargo build -p courant
	target/debug/courant docs configuration > docs/configuration.md
	target/debug/courant docs metrics > docs/metrics.md
	target/debug/courant docs protocol > docs/protocol.md
	target/debug/courant docs example > courant.example.toml
