# make run    build, fetch the pinned ONNX Runtime, run the built-in matrix and write its report
# make test   fetch what tests need and run all of them
# make lint   formatting, vet (with the tags cuda and tensorrt where their headers are), staticcheck, the committed assembly against its generator, shellcheck
# make bench  reference against ONNX Runtime, side by side in one run
# make gate   the working tree against its merge base with BASE: right and as fast? GATE_FLAGS go to apexx gate
# make selfcheck  how often the gate is wrong on this machine; resumes, so run it every night
# make fuzz   every fuzz target for FUZZTIME each
# make kernels       the CUDA kernels and their workbench, if NVCC is there; make budget  kernels/BUDGET.md
# make kernels-test  what of the kernels needs no GPU, and what the Go package must say like them

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
NVCC       ?= nvcc
NVCCFLAGS  ?= -std=c++20 -O3 -lineinfo
# The network's kernels need tensor cores with bf16 and asynchronous copies: compute capability 8.0 and, as PTX, what comes after it.
NVCCARCHS  ?= -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a -gencode=arch=compute_80,code=compute_80
# What the measured column of the budget is taken from.
BUDGET_EVIDENCE ?= baselines/evidence/gpu-h100/conv-512.json
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
LDFLAGS     := -s -w -X main.version=$(VERSION)

# NVML's functions are bound when they are first called (perf/env/nvml_linux.go): a C toolchain that binds at the start by
# default would make a program that needs an NVIDIA driver to start. The binding also refers to functions that are deprecated.
export CGO_LDFLAGS ?= -O2 -g -Wl,-z,lazy
export CGO_CFLAGS  ?= -O2 -g -Wno-deprecated-declarations

.PHONY: all build run test lint deps bench gate selfcheck fuzz generate kernels kernels-test budget clean
all: build

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/apexx ./cmd/apexx

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
	GO='$(GO)' .ci/vet-tags
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

# The fat binaries are what a program loads; the workbench is linked with the CUDA runtime, and needs a driver and nothing else.
kernels:
	@if command -v $(NVCC) >/dev/null; then set -ex; mkdir -p $(BIN)/kernels; \
	for k in conv norm; do $(NVCC) $(NVCCFLAGS) $(NVCCARCHS) -fatbin -o $(BIN)/kernels/$$k.fatbin kernels/$$k.cu; done; \
	$(NVCC) $(NVCCFLAGS) -gencode=arch=compute_90a,code=sm_90a -Xcompiler -fopenmp -o $(BIN)/kernels/conv kernels/bench/conv.cu; \
	else echo "kernels: no $(NVCC): install CUDA 13 or name the compiler, NVCC=/path/to/nvcc (kernels/README.md)"; exit 5; fi

kernels-test:
	@mkdir -p $(BIN)/kernels
	$(CXX) -std=c++20 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -o $(BIN)/kernels/host_test kernels/test/host_test.cpp
	$(BIN)/kernels/host_test
	$(BIN)/kernels/host_test --golden | diff kernels/testdata/launch.golden -

budget:
	$(GO) run ./kernels/budget $(BUDGET_EVIDENCE) > kernels/BUDGET.md.new && mv kernels/BUDGET.md.new kernels/BUDGET.md

clean:
	rm -rf $(BIN) $(DEPS) out
