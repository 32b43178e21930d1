#!/bin/sh
# Puts a backup in the place of a tribe's archive, after proving it; the archive of before is kept.
#   restore_thermal_memory.sh FILE|DIR [FLAGS of tribectl restore ...]
# DIR: its newest backup, by the time in its name. Other words go to tribectl as they are: --json, --dev DIR, --state DIR,
# --runtime DIR, --timeout S. It says --yes for you: whoever calls this means it.
# TRIBE_CTL names the program, else tribectl. Status: that of tribectl (0 done, 1 it did not verify, 2 usage, 3 no tribe ...).
set -u

case ${1:-} in
'' | -h | --help)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
	[ -n "${1:-}" ] && exit 0 || exit 2
	;;
esac
file=$1
shift
if [ -d "$file" ]; then
	newest=$(cd -- "$file" && printf '%s\n' thermal-[0-9]*.sqlite thermal-[0-9]*.dump thermal-[0-9]*.sql |
		grep -E '^thermal-[0-9]+\.(sqlite|dump|sql)$' | sort | tail -n 1)
	[ -n "$newest" ] || { echo "restore_thermal_memory.sh: no backup in $file" >&2; exit 1; }
	file=$file/$newest
	echo "restore_thermal_memory.sh: the newest is $file" >&2
fi
exec "${TRIBE_CTL:-tribectl}" restore --yes "$@" -- "$file"
