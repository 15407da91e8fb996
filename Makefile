# make run    build, fetch the pinned ONNX Runtime, run the built-in matrix and write its report
# make test   fetch what tests need and run all of them
# make lint   formatting, vet (with the tags cuda and tensorrt where their headers are), staticcheck, the committed assembly against its generator, shellcheck
# make bench  reference against ONNX Runtime, side by side in one run
# make gate   the working tree against its merge base with BASE: right and as fast? GATE_FLAGS go to apexx gate
# make selfcheck  how often the gate is wrong on this machine; resumes, so run it every night
# make fuzz   every fuzz target for FUZZTIME each
# make release  the programs that are published, cgo-free and with cgo; make sbom  what they are made of; make reproduce  are they the same twice?
# make kernels       the CUDA kernels and their workbench, if NVCC is there; make budget  kernels/BUDGET.md
# make kernels-test  what of the kernels needs no GPU, and what the Go package must say like them
# make setup-ort-gpu  ONNX Runtime with its CUDA and TensorRT providers, into DEPS/ort-gpu, 247 MB; CUDA 13, cuDNN 9 and TensorRT 10 are the user's
# make setup-cuda    what make cuda needs, into CUDA_VENV: no GPU, no root, no CUDA installed
# make cuda-headers  headers of CUDA 12 alone, into DEPS/cuda, 4 MB: then make lint vets what is behind the tag cuda
# make cuda          the worker apexx-cuda with the kernels inside: needs NVCC and the headers of CUDA 11.8 to 12, no GPU
# make tensorrt-plugins  .bin/libapexx-tensorrt.so: needs NVCC and, in TENSORRT_ROOT, the headers of TensorRT 10; no GPU, no library of TensorRT
# make setup-tensorrt  the libraries of TensorRT, into DEPS/tensorrt; its headers are yours to bring (TENSORRT_ROOT)
# make tensorrt      the worker apexx-tensorrt and the plugins: needs NVCC and the headers of TensorRT 10, neither a GPU nor the libraries
# make tensorrt-test  what of that worker needs no GPU, on libraries of TensorRT and CUDA that do nothing; needs the headers
# make .bin/tensorrt-peer  what times TensorRT alone on the network (backends/tensorrt/peer); needs the headers
# make gpu-tests     what .ci/gpu takes to a machine with a GPU, and the same as one archive, .bin/gpu.tgz; with TENSORRT_ROOT TensorRT's part, too

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
NVCC       ?= $(firstword $(wildcard $(CURDIR)/.cuda/lib/python*/site-packages/nvidia/cu13/bin/nvcc) nvcc)
NVCCFLAGS  ?= -std=c++20 -O3 -lineinfo
# Machine code for every generation since Turing, and PTX for those to come.
CUDA_ARCHITECTURES ?= 75 80 86 89 90
CUDA_CODE := $(foreach a,$(CUDA_ARCHITECTURES),-gencode=arch=compute_$(a),code=sm_$(a)) -gencode=arch=compute_75,code=compute_75
# The network's kernels need tensor cores with bf16 and asynchronous copies: compute capability 8.0 and, as PTX, what comes after it.
NVCCARCHS  ?= -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a -gencode=arch=compute_80,code=compute_80
# What make setup-cuda makes, and what it installs: the compiler of CUDA 13, and headers of CUDA 12, which gorgonia.org/cu needs.
CUDA_VENV  ?= .cuda
CUDA_WHEELS := nvidia-cuda-nvcc==13.0.* nvidia-nvvm==13.0.* nvidia-cuda-crt==13.0.* nvidia-cuda-runtime==13.0.* nvidia-cuda-cccl==13.0.* nvidia-cuda-runtime-cu12==12.9.*
CUDA_HEADERS ?= $(firstword $(wildcard $(CUDA_VENV)/lib/python*/site-packages/nvidia/cuda_runtime/include $(DEPS)/cuda/include) /usr/local/cuda/include)
# Further flags of the compiler for the plugins: where its libraries are if it was installed as wheels.
PLUGIN_FLAGS  ?= $(addprefix -L,$(wildcard $(dir $(NVCC))../lib))
# What the measured column of the budget is taken from.
BUDGET_EVIDENCE ?= baselines/evidence/gpu-h100/conv-512.json
# TensorRT, whose include/ has NvInfer.h; and the headers of CUDA that go with it: those of make setup-cuda, or of an installed CUDA.
TENSORRT_ROOT ?= /usr
TENSORRT_CUDA_HEADERS ?= $(firstword $(wildcard $(abspath $(CUDA_VENV))/lib/python*/site-packages/nvidia/cu13/include) /usr/local/cuda/include)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
LDFLAGS     := -s -w -X main.version=$(VERSION)

# NVML's functions are bound when they are first called (perf/env/nvml_linux.go): a C toolchain that binds at the start by
# default would make a program that needs an NVIDIA driver to start. The binding also refers to functions that are deprecated.
export CGO_LDFLAGS ?= -O2 -g -Wl,-z,lazy
export CGO_CFLAGS  ?= -O2 -g -Wno-deprecated-declarations

# The driver's library is opened at run time (backends/cuda/driver): linking takes an empty archive in its place.
CUDA_CFLAGS  = $(CGO_CFLAGS) -I$(abspath $(CUDA_HEADERS))
CUDA_LDFLAGS = $(CGO_LDFLAGS) -Wl,--export-dynamic -Wl,--unresolved-symbols=ignore-in-object-files -L$(CURDIR)/backends/cuda/driver/stub
WITH_CUDA    = CGO_CFLAGS='$(CUDA_CFLAGS)' CGO_LDFLAGS='$(CUDA_LDFLAGS)' $(GO)
WITH_TENSORRT = CPATH='$(TENSORRT_ROOT)/include:$(TENSORRT_CUDA_HEADERS)' $(GO)
KERNEL_IMAGES := backends/cuda/driver/images

.PHONY: all build run test lint deps bench gate selfcheck fuzz generate release sbom reproduce kernels kernels-test budget setup-ort-gpu setup-cuda cuda-headers cuda cuda-worker setup-tensorrt tensorrt tensorrt-plugins gpu-tests clean
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
	$(GO) test -timeout 60m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'gofmt: the files above are not formatted'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags purego ./backends/reference/...
	CGO_ENABLED=0 $(GO) vet ./...
	GO='$(GO)' DEPS='$(abspath $(DEPS))' CUDA_VENV='$(abspath $(CUDA_VENV))' .ci/vet-tags
	$(GO) run $(STATICCHECK) ./...
	$(GO) -C backends/reference/internal/kernel/asm test .
	@if command -v shellcheck >/dev/null; then shellcheck $$(git grep -lI '^#!.*sh$$' -- .ci backends); else echo 'shellcheck is not installed: skipped'; fi

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

# The workbench has the CUDA runtime inside, and the worker its kernels: both need a driver and nothing else.
kernels: images
	@mkdir -p $(BIN)/kernels
	$(NVCC) $(NVCCFLAGS) -gencode=arch=compute_90a,code=sm_90a -Xcompiler -fopenmp -o $(BIN)/kernels/conv kernels/bench/conv.cu

.PHONY: images
images: $(KERNEL_IMAGES)/ops.fatbin $(KERNEL_IMAGES)/conv.fatbin $(KERNEL_IMAGES)/norm.fatbin

HAVE_NVCC = @command -v $(NVCC) >/dev/null || { echo "kernels: no $(NVCC): make setup-cuda, or install CUDA 13, or name the compiler, NVCC=/path/to/nvcc (kernels/README.md)"; exit 5; }

# -fmad=false: kernels/ops.cuh says why.
$(KERNEL_IMAGES)/ops.fatbin: $(wildcard kernels/ops*)
	$(HAVE_NVCC)
	$(NVCC) -std=c++20 -O3 -fmad=false --threads 0 $(CUDA_CODE) -fatbin -o $@ kernels/ops.cu

$(KERNEL_IMAGES)/%.fatbin: kernels/%.cu $(filter-out kernels/ops%,$(wildcard kernels/*.cuh kernels/*.h))
	$(HAVE_NVCC)
	$(NVCC) $(NVCCFLAGS) --threads 0 $(NVCCARCHS) -fatbin -o $@ $<

setup-ort-gpu:
	sh backends/ort/fetch.sh --gpu $(DEPS)/ort-gpu

setup-cuda:
	python3 -m venv $(CUDA_VENV)
	$(CUDA_VENV)/bin/python -m pip install --quiet --no-deps $(CUDA_WHEELS)

cuda-headers:
	sh backends/cuda/fetch.sh $(DEPS)/cuda

# The worker alone has the kernels that are there, none on a clean clone: it is for machines without NVCC, where it shows that all else builds.
cuda: images
cuda cuda-worker:
	$(WITH_CUDA) build -tags cuda -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/apexx-cuda ./cmd/apexx-cuda

# Kernels as in ops.fatbin. Nothing of TensorRT is linked; the CUDA runtime and the C++ library are inside.
PLUGIN_SOURCES = $(wildcard kernels/*.cuh kernels/*.h kernels/tensorrt/*.h kernels/tensorrt/*.cuh kernels/tensorrt/*.cu)
tensorrt-plugins: $(BIN)/libapexx-tensorrt.so
$(BIN)/libapexx-tensorrt.so: $(PLUGIN_SOURCES)
	$(HAVE_NVCC)
	@test -f "$(TENSORRT_ROOT)/include/NvInfer.h" || { echo 'tensorrt-plugins: no include/NvInfer.h in TENSORRT_ROOT: the headers of TensorRT 10 are yours to bring (github.com/NVIDIA/TensorRT, include/ of tag v10.6.0)'; exit 5; }
	@mkdir -p $(BIN)
	$(NVCC) -std=c++20 -O3 -fmad=false --threads 0 $(NVCCARCHS) -DAPEXX_TENSORRT -DAPEXX_PLUGINS_DIGEST='"'$$(cat $(PLUGIN_SOURCES) | sha256sum | cut -d' ' -f1)'"' \
	-isystem $(TENSORRT_ROOT)/include $(PLUGIN_FLAGS) -cudart static -shared -Xcompiler -fPIC,-fvisibility=hidden,-static-libstdc++,-static-libgcc -o $@ kernels/tensorrt/plugins.cu

setup-tensorrt:
	sh backends/tensorrt/fetch.sh $(DEPS)/tensorrt

.PHONY: setup-tensorrt tensorrt tensorrt-worker
tensorrt: tensorrt-worker tensorrt-plugins

tensorrt-worker:
	@test -f '$(TENSORRT_ROOT)/include/NvInfer.h' || { echo "tensorrt: no $(TENSORRT_ROOT)/include/NvInfer.h: name the folder of TensorRT 10 in TENSORRT_ROOT (its headers come with NVIDIA's archive or package libnvinfer-headers-dev)"; exit 5; }
	$(WITH_TENSORRT) build -tags tensorrt -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/apexx-tensorrt ./cmd/apexx-tensorrt

.PHONY: tensorrt-test
tensorrt-test:
	$(WITH_TENSORRT) test -tags tensorrt ./backends/tensorrt/driver

# Of ONNX Runtime what is in DEPS; of TensorRT what TENSORRT_ROOT has headers for.
gpu-tests: build cuda $(if $(wildcard $(TENSORRT_ROOT)/include/NvInfer.h),gpu-tests-tensorrt)
	@mkdir -p $(BIN)/gpu/.deps
	cp $(BIN)/apexx $(BIN)/apexx-cuda $(BIN)/gpu/
	$(foreach f,$(wildcard $(DEPS)/libonnxruntime.so.1),cp -L $(f) $(BIN)/gpu/.deps/)
	cp -r fixtures $(BIN)/gpu/
	$(WITH_CUDA) test -c -tags cuda -trimpath -ldflags '-s -w' -o $(BIN)/gpu/device.test ./backends/cuda/driver
	$(GO) test -c -trimpath -ldflags '-s -w' -o $(BIN)/gpu/execute.test ./internal/execute
	$(GO) test -c -trimpath -ldflags '-s -w' -o $(BIN)/gpu/ort.test ./backends/ort
	tar -czf $(BIN)/gpu.tgz -C $(BIN)/gpu .

# Like the worker it opens the libraries when it runs.
PEER_SOURCES = $(addprefix backends/tensorrt/,peer/peer.cpp driver/shim.cpp)
$(BIN)/tensorrt-peer: $(PEER_SOURCES) $(wildcard backends/tensorrt/driver/*.h)
	@mkdir -p $(BIN)
	$(CXX) -std=c++20 -O2 -Wall -Wextra -Wno-deprecated-declarations -isystem $(TENSORRT_ROOT)/include -isystem $(TENSORRT_CUDA_HEADERS) -static-libstdc++ -static-libgcc \
	-o $@ $(PEER_SOURCES) -ldl -pthread

.PHONY: gpu-tests-tensorrt
gpu-tests-tensorrt: tensorrt $(BIN)/tensorrt-peer
	@mkdir -p $(BIN)/gpu
	cp $(BIN)/apexx-tensorrt $(BIN)/libapexx-tensorrt.so $(BIN)/tensorrt-peer $(BIN)/gpu/
	$(WITH_TENSORRT) test -c -tags tensorrt -trimpath -ldflags '-s -w' -o $(BIN)/gpu/tensorrt.test ./backends/tensorrt/driver
	$(GO) test -c -trimpath -ldflags '-s -w' -o $(BIN)/gpu/plugins.test ./kernels/tensorrt
	cp -r kernels/tensorrt/testdata $(BIN)/gpu/

kernels-test:
	@mkdir -p $(BIN)/kernels
	$(CXX) -std=c++20 -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -o $(BIN)/kernels/host_test kernels/test/host_test.cpp
	$(BIN)/kernels/host_test
	$(BIN)/kernels/host_test --golden | diff kernels/testdata/launch.golden -

budget:
	$(GO) run ./kernels/budget $(BUDGET_EVIDENCE) > kernels/BUDGET.md.new && mv kernels/BUDGET.md.new kernels/BUDGET.md

clean:
	rm -rf $(BIN) $(DEPS) out
