# Tollgate. `make up` runs it, `make test` is the whole gate.

SHELL   := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MODULES := $(shell sed -n 's|^\t\./||p' go.work)
TOOLS   := bin/.tools
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)
BUF     := PATH="$(CURDIR)/web/node_modules/.bin:$$PATH" buf

.PHONY: help up build web test check lint unit e2e browser gen gen-check tidy-check proto-baseline fmt bench bench-api bench-scale tools clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | column -t -s "$$(printf '\t')"

up: build ## build what is missing and run a demo system
	@test/gate/deps postgres
	bin/tollgate up --demo

build: web/dist/index.html ## bin/tollgate (everything) and bin/tollgate-proxy (a node alone)
	@mkdir -p bin
	cd controlplane && go build -ldflags '$(LDFLAGS)' -o ../bin/tollgate ./cmd/tollgate
	cd dataplane && go build -ldflags '$(LDFLAGS)' -o ../bin/tollgate-proxy ./cmd/tollgate-proxy

web: web/dist/index.html ## the web UI, embedded by the next build

WEB_SOURCES := $(shell find web/src web/public gen/es -type f 2>/dev/null) $(wildcard web/*.ts web/*.json web/index.html)

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build
	@touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test: ## the whole gate
	test/gate/run

lint: tools ## golangci-lint over every module
	for m in $(MODULES); do [[ $$m == gen || $$m == proto || $$m == web ]] || (cd $$m && ../$(TOOLS)/golangci-lint run ./...); done

fmt: web/node_modules/.package-lock.json ## gofmt and buf format
	for m in $(MODULES); do gofmt -w $$m; done
	$(BUF) format -w

unit: ## unit tests of every module, race detector on
	for m in $(MODULES); do [[ $$m == test || $$m == proto ]] || (cd $$m && go test -race ./...); done

e2e: build ## tests that drive the real binaries
	cd test && go test -count=1 -timeout 20m ./e2e/...

browser: build ## the web page in a real Chromium, against a real system
	test/gate/browser

bench: build ## the proxy beside direct, nginx and a plain ReverseProxy, as ratios
	cd test && go run ./bench

bench-api: build ## the admin API with 1 M licences beside 10 k, as ratios
	@test/gate/deps postgres
	cd test && go run ./bench/api

bench-scale: build ## a node at 10 k, 100 k and 1 M licences: memory, collections, start, changes
	cd test && go run ./bench/scale

tools: $(TOOLS)/golangci-lint $(TOOLS)/sqlc $(TOOLS)/protoc-gen-go

$(TOOLS)/golangci-lint: test/tools/golangci/go.mod
	cd test/tools/golangci && GOWORK=off go build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/sqlc: test/tools/sqlc/go.mod
	cd test/tools/sqlc && GOWORK=off go build -o $(CURDIR)/$@ github.com/sqlc-dev/sqlc/cmd/sqlc

$(TOOLS)/protoc-gen-go: proto/go.mod proto/cmd/protoc-gen-tollgate-openapi/main.go
	cd proto && GOWORK=off go build -o $(CURDIR)/$(TOOLS)/ google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go ./cmd/...
	@touch $@

gen: tools web/node_modules/.package-lock.json ## generate Go, TypeScript and SQL code
	$(BUF) generate
	cd controlplane && ../$(TOOLS)/sqlc generate

gen-check: tools web/node_modules/.package-lock.json ## fail where generated code or protos are not in order
	$(BUF) format -d --exit-code
	$(BUF) lint
	out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && $(BUF) build -o "$$out/now.binpb" && \
	  $(BUF) breaking "$$out/now.binpb" --against proto/baseline.binpb --exclude-imports && \
	  $(BUF) generate -o "$$out" && diff -r "$$out/gen/go" gen/go && diff -r "$$out/gen/es" gen/es && diff -r "$$out/gen/openapi" gen/openapi
	cd controlplane && ../$(TOOLS)/sqlc diff

proto-baseline: web/node_modules/.package-lock.json ## take today's protos as what later ones must not break
	$(BUF) build -o proto/baseline.binpb

tidy-check: ## every module builds and is tidy alone
	for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build -o /dev/null ./...); done

clean: ## remove what was built
	rm -rf bin web/node_modules
	find web/dist -mindepth 1 ! -name .gitkeep -delete
