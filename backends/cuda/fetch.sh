#!/bin/sh
# Fetches the headers of CUDA's driver and runtime, all that Go code behind the tag cuda needs to compile: fetch.sh FOLDER puts them into FOLDER/include
#
# They are of the PyPI wheel nvidia-cuda-runtime-cu12 (3.5 MB, the same headers for every platform), which is checked against the digest below. CUDA 12 is the
# last one that gorgonia.org/cu compiles with. Nothing is done when they are there already.
set -eu

version=12.9.79
wheel_sha256=25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
# Of cuda.h, which tells that they are there: the folder comes as a whole.
header_sha256=fda3285d055a9f05e40cd76352f9f073d0ab45d42fb5bb0db4bb33b0df506d28

here=$(dirname "$0")
# shellcheck source=backends/fetching.sh
. "$here/../fetching.sh"

if [ $# -ne 1 ] || [ -z "$1" ]; then fail "usage: fetch.sh FOLDER"; fi
target=$1
if has "$target/include/cuda.h" 256 "$header_sha256"; then exit 0; fi

workspace "$target"
inside=nvidia/cuda_runtime/include
if ! wheel nvidia-cuda-runtime-cu12 "$version" manylinux2014_x86_64 "$wheel_sha256"; then
	fail "pip could not fetch nvidia-cuda-runtime-cu12 $version$(why); or name a folder with headers of CUDA 12 in CUDA_INCLUDE"
fi
wheel_folder "$inside"
has "$work/$inside/cuda.h" 256 "$header_sha256" || fail "cuda.h in the PyPI wheel does not have the pinned digest"
rm -rf "$target/include"
mv "$work/$inside" "$target/include"
