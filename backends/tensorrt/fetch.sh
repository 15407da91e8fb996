#!/bin/sh
# Fetches the pinned libraries of TensorRT into a folder: fetch.sh FOLDER
#
# They are of the Maven artifact org.bytedeco:tensorrt, which redistributes NVIDIA's for Linux on x86-64 (1.1 GB, under NVIDIA's licence: see the file in the
# archive). Archive and libraries are checked against the digests below. Nothing is done when the right ones are there already. No registry has the headers,
# which building the worker and the plugins needs: they come with NVIDIA's own packages, under the Apache licence, and are named in TENSORRT_ROOT.
set -eu

version=10.6-1.5.11
sha256=e7979693541f996bc284335b05f5e890a82b8b3aba50d680e1343a139cf291c4
libraries='libnvinfer.so.10=f78b8f1962da16466df8ace14418886a5dedcfa9cf0af82fe36677229fbff420
libnvinfer_builder_resource.so.10.6.0=a8739cdbf89ade0b3a2e66e4ca5123c46a0ce4be77d38ff5c9ceb1dbb317e00e
libnvonnxparser.so.10=d33b38ec4a98a89721aea507ddb4a648f43ae1cbbd4d22808b7c88d740caad8f'
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

# has_libraries FOLDER: every library is there.
has_libraries() {
	for entry in $libraries; do
		has "$1/${entry%%=*}" 256 "${entry#*=}" || return 1
	done
}

if has_libraries "$target"; then exit 0; fi
command -v unzip >/dev/null || fail "unzip is not installed"

workspace "$target"

echo "fetch.sh: $url, 1.1 GB" >&2
curl --fail --silent --show-error --location --retry 3 --output "$work/redist.jar" "$url" || fail "cannot fetch $url"
has "$work/redist.jar" 256 "$sha256" || fail "$url does not have the pinned digest"
mkdir "$work/lib"
for entry in $libraries; do
	unzip -q -j "$work/redist.jar" "$inside/${entry%%=*}" -d "$work/lib" || fail "the archive has no ${entry%%=*}"
done
has_libraries "$work/lib" || fail "a library in the archive does not have the pinned digest"
mv -f "$work/lib"/* "$target/"
echo "fetch.sh: TensorRT is in $target; to build with it, name the folder of its headers in TENSORRT_ROOT" >&2
