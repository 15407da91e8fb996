#!/bin/sh
# Fetches the pinned libraries of TensorRT into a folder: fetch.sh FOLDER
#
# They are of the Maven artifact org.bytedeco:tensorrt, which redistributes NVIDIA's for Linux on x86-64 (1.1 GB, under NVIDIA's licence: see the file in the
# archive). The archive is checked against the digest below. Nothing is done when the libraries are there already. No registry has the headers, which building
# the worker and the plugins needs: they come with NVIDIA's own packages, under the Apache licence, and are named in TENSORRT_ROOT.
set -eu

version=10.6-1.5.11
sha256=e7979693541f996bc284335b05f5e890a82b8b3aba50d680e1343a139cf291c4
libraries='libnvinfer.so.10 libnvinfer_builder_resource.so.10.6.0 libnvonnxparser.so.10'
inside=org/bytedeco/tensorrt/linux-x86_64
# Another mirror of Maven Central, or a folder of file://.
base=${MAVEN_REPOSITORY:-https://repo1.maven.org/maven2}
url=$base/org/bytedeco/tensorrt/$version/tensorrt-$version-linux-x86_64-redist.jar

here=$(dirname "$0")
# shellcheck source=backends/fetching.sh
. "$here/../fetching.sh"

if [ $# -ne 1 ] || [ -z "$1" ]; then fail "usage: fetch.sh FOLDER"; fi
target=$1
case "$(uname -s) $(uname -m)" in
"Linux x86_64") ;;
*) fail "no libraries are pinned for $(uname -s) $(uname -m); set APEXX_TRT_LIB to the folder of your own" ;;
esac

stamp=$target/.apexx-$version
if [ -f "$stamp" ]; then exit 0; fi
command -v unzip >/dev/null || fail "unzip is not installed"

workspace "$target"

echo "fetch.sh: $url, 1.1 GB" >&2
curl --fail --silent --show-error --location --retry 3 --output "$work/redist.jar" "$url" || fail "cannot fetch $url"
has "$work/redist.jar" 256 "$sha256" || fail "$url does not have the pinned digest"
for name in $libraries; do
	unzip -q -j "$work/redist.jar" "$inside/$name" -d "$work" || fail "the archive has no $name"
done
for name in $libraries; do mv "$work/$name" "$target/$name"; done
: >"$stamp"
echo "fetch.sh: TensorRT is in $target; to build with it, name the folder of its headers in TENSORRT_ROOT" >&2
