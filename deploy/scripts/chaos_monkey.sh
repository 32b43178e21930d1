#!/bin/sh
# Kills every Jr ten times (SIGKILL) and fails when one is not healthy within 30 s: `tribectl drill`, with these words for it.
#
#   chaos_monkey.sh [--dev DIR] [further options of tribectl drill, as --load 20 or --report FILE]
#
# A tribe that `tribed --dev DIR` did not start is harmed as well: that is what this is for. TRIBECTL names another tribectl.
# Exit status: that of tribectl drill; 0 only when every one came back in time.
set -eu

tribectl=${TRIBECTL:-}
if [ -z "$tribectl" ]; then
	here=$(dirname -- "$0")
	for tribectl in "$here/../../build/release/bin/tribectl" tribectl; do
		command -v -- "$tribectl" >/dev/null 2>&1 && break
	done
fi
exec "$tribectl" drill --jr all --kills 10 --slo-ms 30000 --yes "$@"
