# make run    build, fetch the pinned ONNX Runtime, run the built-in matrix and write its report
# make test   fetch what tests need and run all of them
# make lint   formatting, vet, staticcheck, the committed assembly against its generator, shellcheck
# make bench  reference against ONNX Runtime, side by side in one run
# make gate   the working tree against its merge base with BASE: right and as fast? GATE_FLAGS go to apexx gate
# make selfcheck  how often the gate is wrong on this machine; resumes, so run it every night
# make fuzz   every fuzz target for FUZZTIME each
# make release  the programs that are published, cgo-free and with cgo; make sbom  what they are made of; make reproduce  are they the same twice?
# make kernels       the CUDA workbench, if NVCC is there; make kernels-test  what of the kernels needs no GPU; make budget  kernels/BUDGET.md

GO       ?= go
DEPS     ?= .deps
BIN      ?= .bin
OUT      ?= out/matrix
FUZZTIME ?= 10m
# Empty: the remote's default branch, else main.
BASE       ?=
GATE       ?= out/gate
GATE_FLAGS ?=
SELFCHECK  ?= out/selfcheck
RELEASE    ?= out/release
# Empty: both kinds of program; else cgo or nocgo.
KIND       ?=
NVCC       ?= nvcc
NVCCFLAGS  ?= -std=c++20 -O3 -lineinfo -gencode=arch=compute_90a,code=sm_90a -Xcompiler -fopenmp
# What the measured column of the budget is taken from.
BUDGET_EVIDENCE ?= baselines/evidence/gpu-h100/conv3x3-512.json
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
LDFLAGS     := -s -w -X main.version=$(VERSION)

# NVML's functions are bound when they are first called (perf/env/nvml_linux.go): a C toolchain that binds at the start by
# default would make a program that needs an NVIDIA driver to start. The binding also refers to functions that are deprecated.
export CGO_LDFLAGS ?= -O2 -g -Wl,-z,lazy
export CGO_CFLAGS  ?= -O2 -g -Wno-deprecated-declarations

.PHONY: all build run test lint deps bench gate selfcheck fuzz generate release sbom reproduce kernels kernels-test budget clean
all: build

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/apexx ./cmd/apexx

# Named by system and processor. -buildvcs=true fails where the commit cannot be had, and no path of this machine is in the result.
PLATFORM = $$($(GO) env GOOS)-$$($(GO) env GOARCH)
release:
	@mkdir -p $(RELEASE)
	@set -e; for kind in $(or $(KIND),cgo nocgo); do \
	case $$kind in cgo) enabled=1 suffix= ;; nocgo) enabled=0 suffix=-nocgo ;; *) echo "KIND is $$kind: want cgo or nocgo"; exit 2 ;; esac; \
	set -x; CGO_ENABLED=$$enabled $(GO) build -trimpath -buildvcs=true -ldflags '$(LDFLAGS)' -o $(RELEASE)/apexx-$(PLATFORM)$$suffix ./cmd/apexx; { set +x; } 2>/dev/null; done

# Of the programs themselves: what the linker took, in CycloneDX. Without a serial number and a time,
# equal programs have equal lists.
sbom:
	@set -e; for program in $(RELEASE)/apexx-$(PLATFORM) $(RELEASE)/apexx-$(PLATFORM)-nocgo; do \
	set -x; $(GO) run -trimpath $(CYCLONEDX) bin -json -std -licenses -noserial -notimestamp -output $$program.cdx.json $$program; { set +x; } 2>/dev/null; done

reproduce:
	.ci/reproduce

# A library of the user's own needs no download.
deps:
	@if [ -n "$$APEXX_ORT_LIB" ]; then echo "using APEXX_ORT_LIB=$$APEXX_ORT_LIB"; else sh backends/ort/fetch.sh $(DEPS); fi

run: build deps
	$(BIN)/apexx matrix --backends reference,ort --report $(OUT)

test: deps
	$(GO) test -timeout 20m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'gofmt: the files above are not formatted'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags purego ./backends/reference/...
	CGO_ENABLED=0 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) -C backends/reference/internal/kernel/asm test .
	@if command -v shellcheck >/dev/null; then shellcheck backends/ort/fetch.sh .ci/*; else echo 'shellcheck is not installed: skipped'; fi

bench: deps
	$(GO) test -run '^$$' -bench . -benchtime 20x ./backends/backendtest/

gate:
	BASE='$(BASE)' .ci/gate --out $(GATE) $(GATE_FLAGS)

selfcheck: build deps
	$(BIN)/apexx gate --selfcheck --out $(SELFCHECK)

fuzz:
	sh .ci/fuzz $(FUZZTIME)

generate:
	cd backends/reference/internal/kernel/asm && $(GO) run .

# Linked with the CUDA runtime inside: the result needs a driver and nothing else.
kernels:
	@if command -v $(NVCC) >/dev/null; then set -ex; mkdir -p $(BIN)/kernels; $(NVCC) $(NVCCFLAGS) -o $(BIN)/kernels/conv3x3 kernels/bench/conv3x3.cu; \
	else echo "kernels: no $(NVCC): install CUDA 13 or name the compiler, NVCC=/path/to/nvcc (kernels/README.md)"; exit 5; fi

kernels-test:
	@mkdir -p $(BIN)/kernels
	$(CXX) -std=c++20 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -o $(BIN)/kernels/host_test kernels/test/host_test.cpp
	$(BIN)/kernels/host_test

budget:
	$(GO) run ./kernels/budget $(BUDGET_EVIDENCE) > kernels/BUDGET.md.new && mv kernels/BUDGET.md.new kernels/BUDGET.md

clean:
	rm -rf $(BIN) $(DEPS) out
