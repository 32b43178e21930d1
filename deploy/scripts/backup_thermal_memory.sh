#!/bin/sh
# One backup of a tribe's archive, for cron: tribectl does it, this names it, keeps the newest ones and passes the status on.
#   backup_thermal_memory.sh [--to DIR] [--keep N] [FLAGS of tribectl backup ...]
# --to DIR   where it goes; TRIBE_BACKUP_DIR, else /var/backups/tribe
# --keep N   afterwards the N newest thermal-* files of DIR stay; TRIBE_BACKUP_KEEP, else 14; 0: all
# Other words go to tribectl as they are: --sql, --json, --dev DIR, --state DIR, --runtime DIR, --timeout S.
# TRIBE_CTL names the program, else tribectl. Status: that of tribectl (0 done, 1 failed, 2 usage, 3 no tribe, 4 refused, 5 internal).
set -u
dir=${TRIBE_BACKUP_DIR:-/var/backups/tribe}
keep=${TRIBE_BACKUP_KEEP:-14}

usage() {
	echo "backup_thermal_memory.sh: $1" >&2
	exit 2
}

n=$#
while [ "$n" -gt 0 ]; do
	word=$1
	shift
	n=$((n - 1))
	case $word in
	--to | --keep)
		[ "$n" -gt 0 ] || usage "$word wants a value"
		[ "$word" = --to ] && dir=$1 || keep=$1
		shift
		n=$((n - 1))
		;;
	-h | --help)
		sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
		exit 0
		;;
	*) set -- "$@" "$word" ;; # behind the others, which keep their order
	esac
done
case $keep in
'' | *[!0-9]*) usage "--keep wants a whole number" ;;
esac
umask 077
mkdir -p -- "$dir" || exit 1
began=$(mktemp) || exit 1
trap 'rm -f -- "$began"' EXIT
"${TRIBE_CTL:-tribectl}" backup "$@" -- "$dir"
status=$?
[ "$status" -eq 0 ] && [ "$keep" -gt 0 ] || exit "$status"

# The names hold the second of their making, all of the same length until the year 2286: the order of names is that of time.
# Two within a second may be an exception: what is newer than this run stays in any case.
i=0
for name in $(cd -- "$dir" && printf '%s\n' thermal-[0-9]*.sqlite thermal-[0-9]*.dump thermal-[0-9]*.sql |
	grep -E '^thermal-[0-9]+\.(sqlite|dump|sql)$' | sort -r); do
	i=$((i + 1))
	[ "$i" -le "$keep" ] || [ -n "$(find "$dir/$name" -newer "$began")" ] || rm -f -- "$dir/$name"
done
exit 0
