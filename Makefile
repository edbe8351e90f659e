# make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
export GOFLAGS ?= -trimpath -buildvcs=false

GOLANGCI := v2.15.0
COSIGN := v3.1.3
FERRETDB := v1.24.2
BINARIES := hookline hooklined hookline-peer
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
SOAK_ROUNDS ?= 50
FUZZ_INPUTS ?= 50000
ARGS ?=

.PHONY: help build demo demo-mongodb screenshots check test hostile race-tools chromium lint fmt fuzz bench soak generate tools verify-worker verify-generated clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the four binaries, into bin/
	@echo "build: $(BINARIES) hookline-sandbox"
	mkdir -p bin
	CGO_ENABLED=0 go build -ldflags "-X main.version=$(VERSION)" -o bin/ $(addprefix ./cmd/,$(BINARIES))
	CGO_ENABLED=0 go build -ldflags "-s -w" -o bin/ ./cmd/hookline-sandbox

demo: build ## the main job on this machine: crash, hook, review, result, refusals (ARGS=--stay keeps it up)
	@CGO_ENABLED=0 go build -o bin/ ./internal/hooktest/thief ./internal/hooktest/wipe ./examples/crash
	bin/hookline demo $(ARGS)

demo-mongodb: build tools ## the same on a MongoDB store: the tests' server, on loopback, for as long as it takes
	@CGO_ENABLED=0 go build -o bin/ ./internal/hooktest/thief ./internal/hooktest/wipe ./examples/crash
	coproc store { exec .bin/ferretdb -until-eof; }
	server=$$store_PID
	read -r address <&"$${store[0]}"
	bin/hookline demo --store "$$address?maxPoolSize=1" $(ARGS)
	exec {store[1]}>&-
	wait "$$server"

screenshots: build chromium ## every page of the demo in light and dark, wide and narrow, into bin/screenshots/ (ARGS=-best renews docs/pictures)
	@CGO_ENABLED=0 go build -o bin/ ./internal/hooktest/thief ./internal/hooktest/wipe ./examples/crash
	HOOKLINE_CHROMIUM="$$(command -v chromium)" go run ./internal/tools/screenshots -bin bin -out bin/screenshots $(ARGS)

check: ## everything that CI runs: tools, drift, build, lint, tests, short fuzzing
	@start=$$SECONDS
	trap 'code=$$?; if [ $$code = 0 ]; then echo "make check: PASS in $$((SECONDS - start)) s"; else echo "make check: FAIL (exit $$code) after $$((SECONDS - start)) s"; fi' EXIT
	for step in race-tools chromium tools verify-generated build verify-worker lint test; do
		echo "== $$step ($$((SECONDS - start)) s)"
		$(MAKE) --no-print-directory $$step
	done
	echo "== fuzz, briefly ($$((SECONDS - start)) s)"
	$(MAKE) --no-print-directory fuzz FUZZ_INPUTS=1000

test: build tools chromium ## all tests, with the race detector, in random order
	@.bin/cosign version 2>&1 | sed -n 's/^GitVersion: */cosign of the round trips: /p'
	HOOKLINE_BIN=$(CURDIR)/bin HOOKLINE_COSIGN=$(CURDIR)/.bin/cosign HOOKLINE_FERRETDB=$(CURDIR)/.bin/ferretdb HOOKLINE_CHROMIUM="$$(command -v chromium)" \
		go test -race -shuffle=on -count=1 -timeout=15m -json ./... | go run ./internal/tools/testsum

hostile: ## every hostile snippet and system call, as root and as an ordinary user, with each layer of the sandbox missing in turn
	@CGO_ENABLED=0 go run ./internal/tools/hostile $(ARGS)

lint: tools ## gofumpt and golangci-lint
	@unformatted=$$(.bin/golangci-lint fmt --diff ./... | head -40)
	if [ -n "$$unformatted" ]; then echo "$$unformatted"; echo "not formatted: run make fmt"; exit 1; fi
	.bin/golangci-lint run ./...
	CGO_ENABLED=0 go vet -C internal/ferretdb ./...

fmt: tools ## format the code
	@.bin/golangci-lint fmt ./...

fuzz: ## every fuzz target with FUZZ_INPUTS inputs (50,000)
	@go run ./internal/tools/fuzzall -inputs $(FUZZ_INPUTS)

bench: build tools ## speed, as ratios against the raw limit in the same run; round trips to MongoDB
	@HOOKLINE_BIN=$(CURDIR)/bin go run ./internal/tools/benchratio
	echo "round trips of the store on MongoDB:"
	HOOKLINE_FERRETDB=$(CURDIR)/.bin/ferretdb go test -count=1 -run TestRoundTrips -v ./store/mongo | sed -n 's/^ *|/|/p'

soak: build tools ## long runs: lists over a million rows, 50 kills of the server, 1,000 schedules of several, longer fuzzing
	@HOOKLINE_SOAK_ROWS=1000000 go test -count=1 -timeout=30m -v -run ManyRows ./internal/web | sed 's/^ *soak_test.go:[0-9]*: //'
	HOOKLINE_BIN=$(CURDIR)/bin HOOKLINE_FERRETDB=$(CURDIR)/.bin/ferretdb HOOKLINE_SOAK_ROUNDS=$(SOAK_ROUNDS) \
		go test -count=1 -timeout=60m -json -run 'Kill|Interleaved' ./internal/hooktest/... ./store/mongo/ | go run ./internal/tools/testsum
	$(MAKE) --no-print-directory fuzz FUZZ_INPUTS=20000

generate: ## generated code and pages, anew
	@go generate ./...
	go test ./internal/errs ./internal/httpapi -run 'Current|Drifted' -update >/dev/null

verify-generated:
	@before=$$(mktemp -d)
	cp internal/jobpb/*.pb.go "$$before"
	go generate ./internal/jobpb
	for f in "$$before"/*; do
		cmp -s "$$f" "internal/jobpb/$$(basename "$$f")" || { echo "generated code has drifted: $$(basename "$$f"); run make generate and commit"; exit 1; }
	done
	rm -r "$$before"
	echo "generated code is current"

verify-worker: build
	@size=$$(stat -c %s bin/hookline-sandbox)
	echo "hookline-sandbox: $$size bytes"
	[ "$$size" -le 6291456 ] || { echo "hookline-sandbox is larger than 6 MB"; exit 1; }
	if go version -m bin/hookline-sandbox | grep -q 'CGO_ENABLED=1' || readelf -l bin/hookline-sandbox 2>/dev/null | grep -q INTERP; then
		echo "hookline-sandbox is not static"; exit 1
	fi

tools: .bin/golangci-lint-$(GOLANGCI) .bin/cosign-$(COSIGN) .bin/ferretdb-$(FERRETDB)

.bin/golangci-lint-$(GOLANGCI):
	@echo "tools: building golangci-lint $(GOLANGCI) (minutes on a fresh machine)"
	GOFLAGS= GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	touch $@

.bin/cosign-$(COSIGN):
	@echo "tools: building cosign $(COSIGN) (minutes on a fresh machine)"
	GOFLAGS= GOBIN=$(CURDIR)/.bin go install github.com/sigstore/cosign/v3/cmd/cosign@$(COSIGN)
	touch $@

.bin/ferretdb-$(FERRETDB): $(addprefix internal/ferretdb/,main.go go.mod go.sum)
	@echo "tools: building FerretDB $(FERRETDB), for the tests of the MongoDB store"
	CGO_ENABLED=0 go build -C internal/ferretdb -o $(CURDIR)/.bin/ferretdb .
	touch $@

race-tools: # the race detector needs a C compiler
	@if ! command -v gcc >/dev/null; then
		echo "gcc is missing; the race detector needs it"
		[ "$$(id -u)" = 0 ] || { echo "install it: apt-get install gcc libc6-dev"; exit 1; }
		apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev
	fi

chromium: # the tests of the pages look at them in a browser
	@if ! command -v chromium >/dev/null; then
		echo "chromium is missing; the tests of the pages need it"
		[ "$$(id -u)" = 0 ] || { echo "install it: apt-get install chromium"; exit 1; }
		apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
	fi

clean: ## remove what the build made
	rm -rf bin .bin
