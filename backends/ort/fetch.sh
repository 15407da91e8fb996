#!/bin/sh
# Fetches the pinned ONNX Runtime library into a folder: fetch.sh [--gpu] FOLDER
#
# The library comes from the npm package onnxruntime-node or, without npm, from the PyPI wheel onnxruntime; with --gpu, the library and its CUDA and
# TensorRT providers, from the PyPI wheel onnxruntime-gpu. Archive and libraries are checked against the digests below. Nothing is done when
# the right ones are there already.
set -eu

version=1.30.0
soname=libonnxruntime.so.1
# Of the npm package, all platforms in one (base64 in the registry's field dist.integrity).
npm_sha512=b7086cd42d82fc1164cf5c9ce4e634288536194aba0d444eee10f86f1e50d90cb79c0309c115d6f31537355733136f5503d96894b3987a9a03f1f8d318e7c8ab

here=$(dirname "$0")
# shellcheck source=backends/fetching.sh
. "$here/../fetching.sh"

gpu=
if [ "${1:-}" = --gpu ]; then gpu=yes && shift; fi
if [ $# -ne 1 ] || [ -z "$1" ]; then fail "usage: fetch.sh [--gpu] FOLDER"; fi
target=$1

# Of the wheel onnxruntime-gpu and of what is taken from it, for Linux on x86_64 and CUDA 13.
gpu_wheel_sha256=4fbf0c5d7b5fb99266c2e8a802e3e64af68bdc383e0f3c7349b985f1087eedaa
gpu_libraries="libonnxruntime.so.$version=5a140dc17c8b60b35b2ceab0bb533e65ac54f06a208948417c1f9c31df6afc4c
libonnxruntime_providers_shared.so=086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d
libonnxruntime_providers_cuda.so=9d7587acb137b31bf84e4d32dc444b969bb601d098b01395effcacfe4341e364
libonnxruntime_providers_tensorrt.so=4365c6412845f42d7de138055ad3dcff5d0fbca2d748e30e8a04aa3ab0643337"

# Digests of the wheel, and of the library in the npm package and in the wheel.
case "$(uname -s) $(uname -m)" in
"Linux x86_64")
	npm_platform=x64 wheel_platform=x86_64
	wheel_sha256=fd54b314ea385bcecac69ab431f020ba503e3878dad4ebb645fec5a24b041242
	npm_library=ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23
	wheel_library=c902c70b3003c0e99fada202f37478c515ae9bba7944c2b2abd0017bae0c82ed
	;;
"Linux aarch64")
	npm_platform=arm64 wheel_platform=aarch64
	wheel_sha256=bac3aee7b40acd805659fd81a2acd6096312d5b0f014c97ddfe75fb4c1644627
	npm_library=1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76
	wheel_library=8a218e1e446880131115c368ec7005969a5022af9a15a26173de648fef0b7789
	;;
*) fail "no library is pinned for $(uname -s) $(uname -m); set APEXX_ORT_LIB to one of your own" ;;
esac

# has_gpu FOLDER: every library for a GPU is there.
has_gpu() {
	for entry in $gpu_libraries; do
		has "$1/${entry%%=*}" 256 "${entry#*=}" || return 1
	done
}

if [ "$gpu" ]; then
	[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "no library with providers for a GPU is pinned for $(uname -s) $(uname -m); set APEXX_ORT_GPU_LIB to one of your own"
	if has_gpu "$target"; then exit 0; fi
elif has "$target/$soname" 256 "$npm_library" || has "$target/$soname" 256 "$wheel_library"; then
	exit 0
fi

workspace "$target"

# from_npm leaves the library in $work/library.
from_npm() {
	command -v npm >/dev/null || return 1
	archive=$work/onnxruntime-node-$version.tgz
	npm pack --silent --pack-destination "$work" "onnxruntime-node@$version" >"$work/log" 2>&1 || return 1
	has "$archive" 512 "$npm_sha512" || fail "the npm package onnxruntime-node $version does not have the pinned digest"
	tar -xzOf "$archive" "package/bin/napi-v6/linux/$npm_platform/$soname" >"$work/library" || return 1
	has "$work/library" 256 "$npm_library" || fail "the library in the npm package does not have the pinned digest"
}

# member LIBRARY writes a library of the wheel to standard output.
member() { wheel_member "onnxruntime/capi/$1"; }

# from_pypi leaves the library in $work/library.
from_pypi() {
	wheel onnxruntime "$version" "manylinux_2_28_$wheel_platform" "$wheel_sha256" || return 1
	member "libonnxruntime.so.$version" >"$work/library" || return 1
	has "$work/library" 256 "$wheel_library" || fail "the library in the PyPI wheel does not have the pinned digest"
}

# gpu_from_pypi leaves the libraries in $work/gpu.
gpu_from_pypi() {
	wheel onnxruntime-gpu "$version" "manylinux_2_28_$wheel_platform" "$gpu_wheel_sha256" || return 1
	mkdir "$work/gpu"
	for entry in $gpu_libraries; do
		member "${entry%%=*}" >"$work/gpu/${entry%%=*}" || return 1
	done
	has_gpu "$work/gpu" || fail "a library in the PyPI wheel onnxruntime-gpu does not have the pinned digest"
}

if [ "$gpu" ]; then
	gpu_from_pypi || fail "pip could not fetch onnxruntime-gpu $version$(why); or set APEXX_ORT_GPU_LIB to a library of your own"
	chmod 755 "$work/gpu"/*
	mv -f "$work/gpu"/* "$target/"
	exit 0
fi
from_npm || from_pypi || fail "neither npm nor pip could fetch ONNX Runtime $version$(why); or set APEXX_ORT_LIB to a library of your own"
chmod 755 "$work/library"
mv -f "$work/library" "$target/$soname"
