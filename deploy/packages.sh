# The Debian 12 packages this project needs, written once. Sourced by deploy/quickstart and tests/run; not run by itself.
# shellcheck shell=bash

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config
	libuv1-dev libmsgpack-dev libsystemd-dev libssl-dev libsqlite3-dev libpq-dev
	libjansson-dev libyaml-dev libstemmer-dev libutf8proc-dev libmd4c-dev uthash-dev node-llhttp libxxhash-dev zlib1g-dev libvectorscan-dev)
# what the fast suite needs beside that
TEST_PACKAGES=(libcmocka-dev openssl nodejs python3 python3-jsonschema python3-msgpack systemd groff git postgresql-15 postgresql-client-15 shellcheck spin prometheus wrk chromium)
# what ./tests/run --full needs beside that
FULL_PACKAGES=(clang libclang-rt-14-dev mmdebstrap systemd-container docker.io docker-compose runc iproute2 curl)
# the peers that tests/bench measures beside ours; tests/bench/lib/packages installs them without starting a service
BENCH_PACKAGES=(runit s6 nginx-light postgresql-15 postgresql-client-15 python3-msgpack
	wrk python3-fastapi python3-asyncpg python3-uvloop python3-httptools uvicorn)

# need_packages NAME...: installs those that are missing, asking nothing; as root, or with sudo.
need_packages() {
	local missing=() p as_root=()
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "these packages are missing and need root or sudo: ${missing[*]}" >&2; return 1; }
		as_root=(sudo)
	fi
	echo "installing: ${missing[*]}"
	# a stopped earlier run may have left half-configured packages: apt mends them in the same call
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install "${missing[@]}" >/dev/null
}

# need_node: node 18 or later and npm, for the page's plots and its tests; those that are there, from wherever, do.
need_node() {
	if command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 18 ]; then
		return 0
	fi
	need_packages nodejs npm
}
