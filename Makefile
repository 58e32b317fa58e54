# demo   a fleet of real hosts on this machine, and the refusals that interlock is for
# test   what is missing, the rig's hosts and servers, and every test (root: the hosts are namespaces)
# check  format, vet, golangci-lint, shellcheck, the race detector
# bench  measured comparisons; prints the table of the README
# bench-fleet  200 real hosts beside clush and pssh, 5,000 simulated ones, and what an interrupted run leaves behind
# bench-replay  replay beside the pipe, the server's own applier and LOAD DATA, on the same logs
# torture  replay against the pipe on hundreds of random histories, with kills: hours

GO ?= go
# A go that is older than go.mod asks for fetches the right one; go.mod's checksums hold for it, too.
export GOTOOLCHAIN ?= auto

GOLANGCI_LINT_VERSION := v2.15.0
# The version is in the name: another one is built when it is not there.
GOLANGCI_LINT := .cache/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# Where goroutines share state; binlog and session below replay start none.
RACE_PACKAGES := ./sshrun/... ./internal/fleet/... ./internal/report/... ./replay ./replay/fold ./replay/target

SHELL_FILES = .ci/run .ci/packages $(shell find . -name '*.sh' -not -path './.cache/*' -not -path '*/testdata/*')

.PHONY: build demo test check bench bench-fleet bench-replay torture prepare packages

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o interlock .

demo: prepare
	./internal/testrig/demo.sh

test: prepare
	$(GO) test -count=1 -timeout 60m ./...

check: packages $(GOLANGCI_LINT)
	@bad=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); [ -z "$$bad" ] || { echo "gofmt -w these:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	if [ -f bench/go.mod ]; then cd bench && $(GO) vet ./...; fi
	$(GOLANGCI_LINT) run
	shellcheck $(SHELL_FILES)
	$(GO) test -count=1 -race -short -timeout 30m $(RACE_PACKAGES)
	$(GO) test -count=1 -race -short -timeout 30m ./replay/proof -run TestDifferential -proof.seeds 1

bench: prepare
	cd bench && $(GO) run . -only run,budget,explain,fleet

# One round is six minutes on two quiet cores; more: make bench-fleet FLEET='-fleet-rounds 3'
FLEET ?= -fleet-rounds 1
bench-fleet: prepare
	cd bench && $(GO) run . -only fleet,scale $(FLEET)

bench-replay: prepare
	@.ci/packages bench
	cd bench && $(GO) run ./replay

# Other numbers, other workloads: make torture TORTURE='-proof.first 1000 -proof.seeds 50'
TORTURE ?= -proof.seeds 300 -proof.kills 100
torture: prepare
	$(GO) test ./replay/proof -count=1 -timeout 12h -v $(TORTURE)

# The trees and data directories of the rig's hosts, built once into /var/cache/interlock-rig.
prepare: packages
	$(GO) run ./internal/testrig/rig prepare

packages:
	@.ci/packages

$(GOLANGCI_LINT):
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION): some minutes, once"
	mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D)/building $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(@D)/building/golangci-lint $@ && rmdir $(@D)/building
