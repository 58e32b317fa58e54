#!/usr/bin/env bash
# Both halves at work; an argument, guard or recovery, shows one of them.
#
# The guard, on a fleet of real hosts that this script starts itself and takes down again: a MySQL primary with two
# replicas under live traffic, a drained server and a clean host. Every step says what it expects and stops the demo
# when something else happens.
#
# The recovery, on servers that are plain processes: one is lost, its backup restored, and its binary logs are
# replayed by mysqlbinlog | mysql and by interlock. What came back is held to what was lost.
set -euo pipefail
acts=${1:-guard recovery}
case $acts in "guard recovery" | guard | recovery) ;; *)
	echo "usage: demo.sh [guard|recovery]" >&2
	exit 64
	;;
esac
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
name=demo-$$
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(tput bold || true) plain=$(tput sgr0 || true); fi
# Decisions made here are not the operator's: they go into an audit trail of their own.
export XDG_STATE_HOME=$work/state

clean_up() {
	status=$?
	"$work/rig" down -name "$name" >/dev/null 2>&1 || true
	rm -rf "$work"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

# expect STATUS COMMAND... shows a command line, runs it, and holds it to its exit status.
expect() {
	local want=$1 got=0
	shift
	printf '\n%s$ interlock' "$bold"
	printf ' %s' "${@@Q}"
	printf '%s\n' "$plain"
	"$work/interlock" "$1" --config hosts.toml -F "$config" "${@:2}" </dev/null || got=$?
	printf '(exit %s)\n' "$got"
	if [ "$got" != "$want" ]; then
		printf 'demo: expected exit %s\n' "$want" >&2
		exit 1
	fi
}

# guard is the first act.
guard() {
	title "five hosts: primary db1, replicas db2 and db3, drained db4, clean app1"
	"$work/rig" up -d -topology demo -name "$name"
	config=/run/interlock-rig/$name/ssh/config

	title "what the fleet says of itself"
	expect 0 check 'db[1-4],app1'

	title "January 2014: dsh --group hwclass=database lifecycle=reinstall perform_upgrade"
	echo "The second filter was taken for the head of the command. The front end knows a misplaced selector:"
	expect 64 run 'db[1-4],app1' -- 'lifecycle=reinstall perform_upgrade'
	echo
	echo "And had it come through, the hosts would have refused, because they are live:"
	expect 77 run --expect-hosts 5 'db[1-4],app1' -- perform_upgrade

	title "a command that only reads runs everywhere"
	expect 0 run 'db[1-4],app1' -- 'ps aux | grep -c [m]ysqld; exit 0'

	title "a destructive one is refused as a whole: nothing starts anywhere"
	expect 77 run --expect-hosts 5 'db[1-4],app1' -- 'rm -rf /srv/scratch'

	title "on the clean host alone, the same command runs"
	expect 0 run app1 -- 'rm -rf /srv/scratch'

	title "taking the fleet down"
	"$work/rig" down -name "$name"
}

title "building interlock and the rig"
CGO_ENABLED=0 go build -trimpath -o "$work/interlock" .
go build -o "$work/" ./internal/testrig/rig ./internal/testrig/recovery

for act in $acts; do
	case $act in
	guard) guard ;;
	recovery) "$work/recovery" -interlock "$work/interlock" ;;
	esac
done
