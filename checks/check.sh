#!/bin/sh
# check.sh: a host inspects itself, says what it is, and starts a command only when its own table lets it.
#
# The only thing of interlock's that ever runs on a host. POSIX sh; runs under dash, busybox and bash.
# Three ways in:
#   - over SSH: $1 is this script (gzip, base64), the other arguments are the request, KEY=VALUE each;
#   - as the helper of such a session, under "sudo -n": the same, with helper=PID;
#   - by hand on the host: no arguments; prints the report.
#
# Rules that every function here keeps: an error is never an absence; what cannot be seen is unknown; no data
# is ever evaluated; no credential is on an argument list. Sections in order: request, session (the two
# processes), tools, probes, servers, search, verdict, lock, report.

set +aefvx +C
set -u

tab='	'
nl='
'

# ---- request ---------------------------------------------------------------------------------------------

say() { printf 'interlock: %s\n' "$*" >&2; }
die() { say "$2"; exit "$1"; }

# parse_request reads KEY=VALUE arguments. Values are from a set of characters that no shell treats specially;
# free text is base64 (…64 keys) or percent-encoded. A key that is not known stops the session.
parse_request() {
	q_script='' q_nonce='' q_mode=check q_class=destructive q_shell=/bin/sh q_cmd64='' q_owner=- q_host=- q_allow=''
	q_member=0 q_boots=0 q_onunknown=0 q_defaults64='' q_critical='' q_data64='' q_clients='' q_idle=900 q_bound=15
	q_id='' q_signal=INT q_tty=0 q_helper='' q_go=10 q_run='' q_lease=0 q_release=0 q_reason64=''
	q_offer=0 q_override=''
	for q_arg in "$@"; do
		case $q_arg in
		script=*) q_script=${q_arg#*=} ;;
		nonce=*) q_nonce=${q_arg#*=} ;;
		mode=*) q_mode=${q_arg#*=} ;;
		class=*) q_class=${q_arg#*=} ;;
		shell=*) q_shell=${q_arg#*=} ;;
		cmd64=*) q_cmd64=${q_arg#*=} ;;
		owner=*) q_owner=${q_arg#*=} ;;
		host=*) q_host=${q_arg#*=} ;;
		allow=*) q_allow=${q_arg#*=} ;;
		member=*) q_member=${q_arg#*=} ;;
		boots=*) q_boots=${q_arg#*=} ;;
		onunknown=*) q_onunknown=${q_arg#*=} ;;
		defaults64=*) q_defaults64=${q_arg#*=} ;;
		critical=*) q_critical=${q_arg#*=} ;;
		data64=*) q_data64=${q_arg#*=} ;;
		clients=*) q_clients=${q_arg#*=} ;;
		idle=*) q_idle=${q_arg#*=} ;;
		bound=*) q_bound=${q_arg#*=} ;;
		id=*) q_id=${q_arg#*=} ;;
		signal=*) q_signal=${q_arg#*=} ;;
		tty=*) q_tty=${q_arg#*=} ;;
		go=*) q_go=${q_arg#*=} ;;
		run=*) q_run=${q_arg#*=} ;;
		lease=*) q_lease=${q_arg#*=} ;;
		release=*) q_release=${q_arg#*=} ;;
		reason64=*) q_reason64=${q_arg#*=} ;;
		offer=*) q_offer=${q_arg#*=} ;;
		override=*) q_override=${q_arg#*=} ;;
		helper=*) q_helper=${q_arg#*=} ;;
		*) die 64 "request: $q_arg is not understood; is the script older than the client?" ;;
		esac
	done
	for q_arg in "$q_idle" "$q_bound" "$q_go" "$q_lease"; do
		case $q_arg in '' | *[!0-9]*) die 64 "request: \"$q_arg\" is not a number of seconds" ;; esac
	done
	case $q_nonce in *[!0-9a-f]*) die 64 "request: the nonce is not hexadecimal" ;; esac
	case $q_id in *[!0-9a-f]*) die 64 "request: the id is not hexadecimal" ;; esac
	case $q_override in *[!0-9a-f]*) die 64 "request: the override is not hexadecimal" ;; esac
	case $q_run in *[!0-9a-f]*) die 64 "request: the run is not hexadecimal" ;; esac
	if [ "$q_lease" != 0 ] && [ -z "$q_run" ]; then die 64 "request: a lease needs a run"; fi
}

# ---- session: the unprivileged parent --------------------------------------------------------------------

# session is the SSH session's own process: it keeps the user's environment, directory, umask and stdin, starts
# the helper, passes its report on, waits for go and runs the command in the foreground.
# The two pipes to and from the helper are anonymous ones, reopened through /proc in the other direction: no
# file is made, so a full disk does not matter. Descriptors: 3 and 4 the session's stdin and stdout, 5 and 6 the
# pipes while they are made, 7 reads from the helper, 8 writes to it.
session() {
	trap : HUP INT TERM PIPE
	exec 3<&0 4>&1
	: | {
		trap : HUP INT TERM PIPE
		exec 5<>/proc/self/fd/0
		: | {
			trap : HUP INT TERM PIPE
			exec 6<>/proc/self/fd/0
			session_body
		}
	}
}

session_body() {
	# bash takes TMOUT for a bound on every read; the command gets it back.
	s_tmout=${TMOUT-}
	unset TMOUT
	who_am_i
	case $q_mode in
	check | run | lock) ;;
	*)
		if [ "$w_uid" = 0 ]; then (helper_main) >&4; else helper_text | command -p sudo -n /bin/sh -s >&4; fi
		exit $?
		;;
	esac
	if [ "$w_uid" = 0 ]; then
		(helper_main) </proc/self/fd/5 >&6 2>&6 3<&- 4>&- 5>&- 6>&- &
		exec 7</proc/self/fd/6 8>/proc/self/fd/5 5>&- 6>&-
	else
		command -p sudo -n /bin/sh -s </proc/self/fd/5 >&6 2>&6 3<&- 4>&- 5>&- 6>&- &
		exec 7</proc/self/fd/6 8>/proc/self/fd/5 5>&- 6>&-
		# In the background: a sudo that hangs reads nothing, and a pipe holds 64 KB.
		helper_text >&8 2>/dev/null 3<&- 4>&- 7<&- &
	fi
	watch_session
	forward_report <&7
	end_watch "$s_watch"
	if [ "$s_report" = none ]; then # no helper: sudo refused, or is not there
		forward_plain
	fi
	[ "$q_mode" != check ] || exit 0
	case $s_verdict in
	run) ;;
	locked) exit 75 ;;
	*) exit 77 ;;
	esac
	[ "$q_mode" != lock ] || exit 0
	case $q_class in read-only | routine) ;; *) [ -n "$s_lock" ] || exit 77 ;; esac
	await_go || { printf 'no\n' >&8; exec 8>&-; drain_helper; exit 77; }
	run_command
}

# watch_session makes sure that there is an answer: when helper or sudo have not reported in time, it writes a report
# that knows nothing into their pipe, which it opens anew through /proc. What the helper may still do ends by itself:
# nobody answers it.
watch_session() {
	read -r s_self _ </proc/self/stat
	(
		count_down "$((q_bound + 3))" || exit 0
		printf 'interlock-report 1 %s\nreason\tcheck-bound\t%s\t%s\nstate\tunknown\nverdict\trefuse\ninterlock-end %s 3\n' "$q_nonce" \
			"the check did not end within $((q_bound + 3)) s" "see what hangs on the host: sudo, a file system that does not answer" \
			"$q_nonce" >"/proc/$s_self/fd/7"
	) </dev/null >/dev/null 2>&1 3<&- 4>&- 7<&- 8>&- &
	s_watch=$!
}

# helper_text is what the helper's shell reads: the request and this script, one line each. Nothing follows
# until the helper has answered, so what its shell reads ahead cannot be lost.
helper_text() {
	printf "set -- 'script=%s'" "$q_script"
	printf " 'nonce=%s' 'mode=%s' 'class=%s' 'shell=%s' 'cmd64=%s' 'owner=%s'" \
		"$q_nonce" "$q_mode" "$q_class" "$q_shell" "$q_cmd64" "$q_owner"
	printf " 'host=%s' 'allow=%s' 'member=%s' 'boots=%s' 'onunknown=%s' 'defaults64=%s' 'critical=%s'" \
		"$q_host" "$q_allow" "$q_member" "$q_boots" "$q_onunknown" "$q_defaults64" "$q_critical"
	printf " 'data64=%s' 'clients=%s' 'idle=%s' 'bound=%s' 'id=%s' 'signal=%s' 'tty=%s' 'helper=%s'" \
		"$q_data64" "$q_clients" "$q_idle" "$q_bound" "$q_id" "$q_signal" "$q_tty" "$$"
	printf " 'run=%s' 'lease=%s' 'release=%s' 'reason64=%s' 'offer=%s' 'override=%s'\n" \
		"$q_run" "$q_lease" "$q_release" "$q_reason64" "$q_offer" "$q_override"
	# shellcheck disable=SC2016 # expanded by the helper's shell
	printf 'eval "$(printf %%s "${1#script=}" | base64 -d | gzip -dc)"\n'
}

# forward_report copies the helper's report from its opening to its closing line. What comes before (sudo's
# complaints) is kept for the reason. Sets s_report (none, cut, whole), s_verdict, s_lock, s_said.
forward_report() {
	s_report=none s_verdict=refuse s_lock='' s_spool='' s_said='' s_v=''
	while IFS= read -r s_line; do
		case $s_line in
		"interlock-report 1 $q_nonce") s_report='cut' ;;
		"verdict$tab"*) s_v=${s_line#"verdict$tab"} ;;
		"lock$tab"*) s_lock=${s_line#"lock$tab"} ;;
		"spool$tab"*) s_spool=${s_line#"spool$tab"} ;;
		esac
		if [ "$s_report" = none ]; then
			s_said="$s_said $s_line"
			continue
		fi
		printf '%s\n' "$s_line" >&4
		case $s_line in
		"interlock-end $q_nonce "*) s_report=whole s_verdict=${s_v:-refuse}; break ;;
		esac
	done
}

# forward_plain reports what an account without root can see. The state is unknown whatever that is: the
# report says so and how to mend it.
forward_plain() {
	f_noroot=$s_said
	: | {
		exec 6<>/proc/self/fd/0
		(inspect_and_print) >&6 2>/dev/null 3<&- 4>&- 7<&- 8>&- &
		exec 7</proc/self/fd/6 6>&-
		forward_report <&7
	}
	s_verdict=refuse
	if [ "$q_onunknown" = 1 ] && [ "$q_class" = routine ]; then s_verdict=run; fi
}

# await_go reads exactly the go line from the session's stdin, a byte at a time, so that not one byte of the
# command's own input is taken. End of input, anything else and ten seconds of silence all mean no.
await_go() {
	g_line=$(bounded "$q_go" dd bs=1 count="$((${#q_nonce} + 4))" <&3 2>/dev/null)
	[ "$g_line" = "go $q_nonce" ] || return 1
	if [ "$q_tty" = 1 ]; then stty echo <&3 2>/dev/null; fi
	return 0
}

# drain_helper waits until the helper has recorded what it was told and is gone.
drain_helper() { while read -r _ <&7; do :; done; }

# reap waits for a background child; wait alone returns early when a trapped signal comes.
reap() {
	while kill -0 "$1" 2>/dev/null; do
		wait "$1"
		w_status=$?
		[ "$w_status" -gt 128 ] || return 0
	done
}

# become_command replaces its shell with the command's, in the environment that the session came with.
become_command() {
	if [ -n "$s_tmout" ]; then export TMOUT="$s_tmout"; fi
	exec "$q_shell" -c "$r_cmd"
}

# run_command runs the command in the foreground, tells the helper before and after, and passes its status on.
run_command() {
	r_cmd=$(printf %s "$q_cmd64" | command -p base64 -d && printf x) || die 77 "decode the command: base64 failed"
	r_cmd=${r_cmd%x}
	printf 'started %s\n' "$$" >&8
	if [ -n "$s_spool" ] && [ "$q_tty" = 0 ]; then
		run_spooled
	else
		(become_command) <&3 >&4 3<&- 4>&- 7<&- 8>&-
		r_status=$?
		printf 'ended %s\n' "$r_status" >&8
	fi
	exec 8>&-
	drain_helper
	exit "$r_status"
}

# run_spooled gives the command two pipes instead of the session's own streams. tee writes both to the spool
# and out; it outlives the client: a broken pipe ends its copy outwards, not the command. The pipes are named ones
# in the spool, which the helper made: as long as the command or what it left behind has them open, tee reads on.
run_spooled() {
	(trap '' HUP INT TERM PIPE; exec tee "$s_spool/out" >&4 2>/dev/null) <"$s_spool/1" 3<&- 7<&- 8>&- &
	r_tee1=$!
	(trap '' HUP INT TERM PIPE; exec tee "$s_spool/err" >&2 2>/dev/null) <"$s_spool/2" 3<&- 4>&- 7<&- 8>&- &
	r_tee2=$!
	(become_command) <&3 >"$s_spool/1" 2>"$s_spool/2" 3<&- 4>&- 7<&- 8>&-
	r_status=$?
	printf 'ended %s\n' "$r_status" >&8
	exec 3<&-
	reap "$r_tee1"
	reap "$r_tee2"
}

# ---- tools -----------------------------------------------------------------------------------------------

# who_am_i sets w_uid, the effective user id, empty where it cannot be seen. No program is asked, which could lie.
who_am_i() {
	w_uid=''
	while read -r w_key _ w_value _; do
		case $w_key in Uid:) w_uid=$w_value; break ;; esac
	done </proc/self/status
}

# bounded runs a command for at most $1 seconds, with its stdin kept. Without timeout (and on a terminal, where
# timeout would leave the foreground) a watchdog of our own ends it. Status above 128, or 124: out of time. The signal
# is KILL: the helper ignores the others, and its children inherit that.
bounded() {
	b_secs=$1
	shift
	if [ "$q_tty" = 0 ] && command -v timeout >/dev/null 2>&1; then
		timeout -s KILL "$b_secs" "$@"
		return $?
	fi
	exec 9<&0
	"$@" <&9 9<&- &
	b_pid=$!
	exec 9<&-
	(sleep "$b_secs" && kill -KILL "$b_pid") >/dev/null 2>&1 </dev/null &
	b_watch=$!
	wait "$b_pid"
	b_status=$?
	end_watch "$b_watch"
	return "$b_status"
}

# end_watch ends a watchdog, not its sleep of at most a few seconds; shells announce what was killed when they reap it.
end_watch() { { kill -KILL "$1" && wait "$1"; } 2>/dev/null; }

# count_down sleeps for $1 seconds, one at a time; fails where there is no sleep.
count_down() {
	c_left=$1
	while [ "$c_left" -gt 0 ]; do
		sleep 1 || return 1
		c_left=$((c_left - 1))
	done
}

# watch_over ends every descendant of the helper once the whole check has used up its time, and again each half second:
# whatever hung then fails, and a probe that fails is unknown. It is ended with the check. It uses no program but sleep.
watch_over() {
	(
		read -r v_self _ </proc/self/stat
		count_down "$q_bound" || exit 0
		# A helper that hangs in itself is ended as well, after ten seconds more: nobody waits for it by then.
		v_left=20
		while kill -0 "$1"; do
			end_descendants "$1" "$v_self"
			v_left=$((v_left - 1))
			if [ "$v_left" -le 0 ]; then
				kill -KILL "$1"
				rm -rf "/var/lib/interlock/decoy.$1" "/run/interlock/decoy.$1" "/run/decoy.$1"
				exit 0
			fi
			sleep 0.5 || sleep 1 || exit 0
		done
	) >/dev/null 2>&1 </dev/null &
	h_watch=$!
}

# end_descendants kills the processes below $1, but not $2 and what is below it.
end_descendants() {
	d_top=$1 d_not=$2 d_all='' d_below=" $1 " d_more=1
	for d_stat in /proc/[0-9]*/stat; do
		read -r d_line 2>/dev/null <"$d_stat" || continue
		d_pid=${d_line%% *}
		d_line=${d_line##*) ? }
		d_all="$d_all $d_pid:${d_line%% *}"
	done
	while [ "$d_more" = 1 ]; do
		d_more=0
		for d_item in $d_all; do
			d_pid=${d_item%:*}
			case $d_below in *" $d_pid "*) continue ;; esac
			[ "$d_pid" != "$d_not" ] || continue
			case $d_below in *" ${d_item#*:} "*) d_below="$d_below$d_pid " d_more=1 ;; esac
		done
	done
	d_below=${d_below#" $d_top "}
	# shellcheck disable=SC2086 # a list of numbers
	[ -z "$d_below" ] || kill -KILL $d_below
}

# started_at sets t_state, t_pgrp and t_start of process $1; fails when it is gone. No process is started.
started_at() {
	read -r t_line 2>/dev/null <"/proc/$1/stat" || return 1
	t_line=${t_line##*) }
	# shellcheck disable=SC2086 # split on purpose: 20 numbers
	set -- $t_line
	[ $# -ge 20 ] || return 1
	t_state=$1 t_pgrp=$3
	shift 19
	t_start=$1
}

# pct decodes %XX of a field that came from awk.
pct() {
	case $1 in
	*%*) printf '%s' "$1" | awk '
		BEGIN { for (i = 0; i < 256; i++) c[sprintf("%02X", i)] = sprintf("%c", i) }
		{
			out = ""
			while ((i = index($0, "%")) > 0) { out = out substr($0, 1, i - 1) c[substr($0, i + 1, 2)]; $0 = substr($0, i + 3) }
			printf "%s", out $0
		}' ;;
	*) printf '%s' "$1" ;;
	esac
}

# The report's lines are gathered here and printed at once, closed by their number.
# add TYPE FIELD…: joined by tabs; a field holds no tab, no line end, and "%" only as %XX.
add() {
	h_line=$1
	shift
	for h_field in "$@"; do h_line="$h_line$tab$h_field"; done
	h_report="$h_report$h_line$nl"
	h_count=$((h_count + 1))
}

# reason CODE TEXT REMEDY: plain sentences; what comes from outside stands in them percent-encoded.
reason() {
	case "$h_codes" in *"|$1:$2|"*) return ;; esac
	h_codes="$h_codes|$1:$2|"
	case " $h_words " in *" $1 "*) ;; *) h_words="$h_words $1" ;; esac
	add reason "$1" "$2" "${3:--}"
}

# blind: something could not be seen, so nothing less than unknown may be said.
blind() { h_blind=1; reason "$@"; }

# unclear: nothing less than unknown may be said where the host would be clear otherwise.
unclear() { h_unclear=1; reason "$@"; }

# shared: others use what is here, so it is not at rest, whatever its own server does.
shared() { h_shared=1; reason "$@"; }

# clean makes one line of outside words fit for a sentence of ours.
clean() { printf '%s' "$1" | tr -cd '[:alnum:] _./:,=@()-' | head -c 200; }

# ---- helper: inspects, decides, holds the lock, records the end --------------------------------------------

helper_main() {
	trap '' HUP INT TERM PIPE
	umask 077
	LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export LC_ALL PATH
	IFS=" $tab$nl"
	unset TMOUT POSIXLY_CORRECT QUOTING_STYLE TIME_STYLE LS_COLORS PERL5OPT DOCKER_HOST DOCKER_CONTEXT
	unset -f awk cat cd chown command date dd find grep head kill ln ls mkdir mkfifo mv printf read readlink rm sleep test timeout tr wait [ 2>/dev/null
	unset MYSQL_PWD MYSQL_HOST MYSQL_TCP_PORT MYSQL_UNIX_PORT MYSQL_TEST_LOGIN_FILE CDPATH ENV BASH_ENV
	case $q_mode in
	check)
		inspect_and_print
		;;
	run)
		inspect
		decide
		break_glass
		if [ "$h_verdict" = run ]; then take_lock; fi
		if [ "$h_verdict" = run ]; then look_again; fi
		print_report
		follow_command
		;;
	lock)
		inspect
		decide
		break_glass
		if [ "$h_verdict" = run ]; then take_lock; fi
		if [ "$h_verdict" = run ]; then look_again; fi
		# The lock stays; it goes at once when nobody can be told of it any more.
		if print_report; then
			log_decision
			[ "$h_verdict" != run ] || spend_override
		else
			drop_lock
		fi
		;;
	lease) serve_lease ;;
	logs) show_logs ;;
	locks) show_locks ;;
	signal) signal_command ;;
	*) die 64 "request: mode $q_mode is not understood" ;;
	esac
}

inspect_and_print() {
	inspect
	decide
	break_glass
	print_report
}

print_report() {
	[ -z "$h_watch" ] || end_watch "$h_watch"
	add verdict "$h_verdict"
	printf 'interlock-report 1 %s\n%sinterlock-end %s %s\n' "$q_nonce" "$h_report" "$q_nonce" "$h_count"
}

# inspect gathers the facts and judges them: h_state is the worst of everything found.
inspect() {
	h_report='' h_count=0 h_codes='' h_blind=0 h_unclear=0 h_shared=0 h_state=clear h_busy='' h_states='' h_servers='' h_root=0
	h_instances=0 h_serving=0 h_verdict=refuse h_lock='' h_decoy='' h_watch='' h_start=0 h_dir='' h_decoy_dir='' h_stopped='' h_runtime='' h_missing=0
	h_lease='' h_no_lease='' h_held='' h_id='' h_words='' h_glass=''
	read -r h_pid _ </proc/self/stat || h_pid=$$
	started_at "$h_pid" && h_start=$t_start
	who_am_i
	[ "$w_uid" = 0 ] && h_root=1
	watch_over "$h_pid"
	host_facts
	if [ "$h_root" = 0 ]; then
		blind no-root "not root, and sudo -n did not give root: $(clean "${f_noroot:-no sudo}")" \
			"in sudoers: $(id -un) ALL=(root) NOPASSWD: /bin/sh -s"
	fi
	state_dir
	if [ "$q_lease" != 0 ]; then take_lease; fi
	start_decoy
	scan_processes
	judge_scan
	judge_servers
	judge_datadirs
	look_at_exports
	if [ "$h_instances" = 0 ] && [ "$h_root" = 1 ]; then search_host; fi
	judge_control
	if [ "$q_boots" = 1 ]; then next_boot; fi
	stop_decoy
	if [ "$h_unclear" = 1 ] && [ "$h_state" = clear ]; then h_state=unknown; fi
	if [ "$h_shared" = 1 ]; then case $h_state in clear | stopped | idle) h_state=unknown ;; esac; fi
	if [ "$h_blind" = 1 ]; then worse unknown; fi
}

# worse raises the host's state to $1 where that weighs more: unknown = primary = proxy > replica > idle > stopped
# > clear. Among equals the first stays, but unknown gives way to what is known.
worse() {
	h_states="$h_states $1"
	weight "$h_state"; a_weight=$weight
	weight "$1"
	if [ "$weight" -gt "$a_weight" ] || { [ "$weight" = 4 ] && [ "$h_state" = unknown ]; }; then h_state=$1; fi
}

weight() {
	case $1 in
	clear) weight=0 ;;
	stopped) weight=1 ;;
	idle) weight=2 ;;
	replica) weight=3 ;;
	*) weight=4 ;;
	esac
}

host_facts() {
	h_boot=- h_machine=- h_uptime=0
	read -r h_boot </proc/sys/kernel/random/boot_id || blind no-proc "/proc/sys/kernel/random/boot_id cannot be read" "mount /proc"
	if [ -r /etc/machine-id ]; then read -r h_machine </etc/machine-id || :; fi
	read -r h_uptime _ </proc/uptime || blind no-proc "/proc/uptime cannot be read" "mount /proc"
	h_uptime=${h_uptime%%.*}
	h_name=-
	read -r h_name </proc/sys/kernel/hostname || :
	add fact boot_id "$h_boot"
	add fact machine_id "${h_machine:--}"
	case $h_name in *[!A-Za-z0-9._-]*) h_name=$(clean "$h_name" | tr ' ' _) ;; esac
	add fact hostname "${h_name:--}"
	add fact uptime_seconds "$h_uptime"
	# Process 2 is kthreadd on the host itself, and anything else in a child process namespace.
	read -r h_kthreadd 2>/dev/null </proc/2/stat || h_kthreadd=''
	case $h_kthreadd in
	"2 (kthreadd) "*) ;;
	*) blind child-pid-namespace "this is a child process namespace: the processes of the host cannot be seen" \
		"ask the host itself, not a container on it" ;;
	esac
	for h_tool in awk cat find grep head ls rm sleep tr; do
		command -v "$h_tool" >/dev/null 2>&1 || blind tool-missing "the program $h_tool is not there" "install $h_tool"
	done
}

# state_dir chooses where locks, evidence and spooled output live: h_dir, empty when nothing can be written. The folder
# that it tries this with is h_decoy_dir, where the decoy is put.
state_dir() {
	[ "$h_root" = 1 ] || return 0
	for h_try in /var/lib/interlock /run/interlock; do
		[ -d "$h_try" ] || mkdir -m 711 "$h_try" 2>/dev/null
		h_decoy_dir=$h_try/decoy.$h_pid
		if mkdir "$h_decoy_dir" 2>/dev/null && printf 'x%s\n' "$q_nonce" 2>/dev/null >"$h_decoy_dir/try" &&
			read -r h_tried <"$h_decoy_dir/try" && [ "$h_tried" = "x$q_nonce" ]; then
			h_dir=$h_try
			return 0
		fi
		rm -rf "$h_decoy_dir"
	done
	h_decoy_dir=/run/decoy.$h_pid
	mkdir "$h_decoy_dir" 2>/dev/null || h_decoy_dir=''
}

# ---- control: a decoy that every search must find ------------------------------------------------------------

# start_decoy holds a file called ibdata1 open and locked in another process, which also listens in a network
# namespace of its own where it can. h_decoy is "PID INODE PORT"; empty when there can be none.
start_decoy() {
	h_decoy=''
	[ -n "$h_decoy_dir" ] || return 0
	h_decoy_file=$h_decoy_dir/ibdata1
	if command -v perl >/dev/null 2>&1; then
		# The child keeps the lock and the listener, and ends by itself when nobody ends it.
		# shellcheck disable=SC2016 # perl's variables
		h_perl='
			pipe(R, W) and defined($pid = fork) or exit 1;
			if ($pid) { close W; $l = <R> or exit 1; print "$pid $l"; exit 0 }
			close R; open(STDOUT, ">&", W); close W;
			$SIG{HUP} = $SIG{INT} = "IGNORE";
			open(F, "+>", $ARGV[0]) or exit 1; flock(F, 6) or exit 1;
			$port = 0;
			if (socket(S, 2, 1, 0) and bind(S, pack("Snx12", 2, 0)) and listen(S, 1)) {
				($x, $port) = unpack("Sn", getsockname(S));
			}
			$| = 1; print((stat(F))[1], " $port\n"); close STDOUT; close STDERR; close STDIN;
			sleep $ARGV[1]'
		h_decoy=$(unshare -n perl -e "$h_perl" "$h_decoy_file" "$((q_bound + 5))" 2>/dev/null) ||
			h_decoy=$(perl -e "$h_perl" "$h_decoy_file" "$((q_bound + 5))" 2>/dev/null)
	elif command -v flock >/dev/null 2>&1; then
		: >"$h_decoy_file"
		flock -n "$h_decoy_file" sleep "$((q_bound + 5))" >/dev/null 2>&1 &
		# shellcheck disable=SC2012 # our own name
		h_decoy="$! $(ls -i "$h_decoy_file" | awk '{ print $1 }') 0"
		until grep -q ":${h_decoy#* }" /proc/locks 2>/dev/null || ! kill -0 "${h_decoy%% *}" 2>/dev/null; do :; done
	fi
	case $h_decoy in
	*[!0-9\ ]* | *\ *\ *\ *) h_decoy='' ;;
	[0-9]*\ [0-9]*\ [0-9]*) ;;
	*) h_decoy='' ;;
	esac
	# It is killed at the end: it must be younger than we are.
	if [ -n "$h_decoy" ]; then
		if ! started_at "${h_decoy%% *}" || [ "$t_start" -lt "$h_start" ]; then h_decoy=''; fi
	fi
}

stop_decoy() {
	if [ -n "$h_decoy" ]; then kill -KILL "${h_decoy%% *}" 2>/dev/null; fi
	[ -z "$h_decoy_dir" ] || rm -rf "$h_decoy_dir"
}

judge_control() {
	[ "$h_root" = 1 ] || return 0
	if [ -z "$h_decoy" ]; then
		blind control-missing "the positive control could not be set up: neither perl nor flock could hold a decoy in ${h_dir:-/run}" \
			"install perl-base or util-linux, and make room in /run"
		return 0
	fi
	case " $h_seen " in *" fd "*) ;; *) blind control-unseen "the check did not find its own decoy among the open files" "see docs/checks.md: control-unseen" ;; esac
	case " $h_seen " in *" lock "*) ;; *) blind control-unseen "the check did not find its own decoy in /proc/locks" "see docs/checks.md: control-unseen" ;; esac
	case $h_decoy in *" 0") return 0 ;; esac
	case " $h_seen " in *" listen "*) ;; *) blind control-unseen "the check did not find its own decoy among the listeners" "see docs/checks.md: control-unseen" ;; esac
}

# ---- probe: processes, open files, locks, listeners ----------------------------------------------------------

# enc_awk is for the awk programs below: enc percent-encodes all but safe characters; an empty string is "-".
# shellcheck disable=SC2016 # awk's
enc_awk='
function enc(s,   n, c, out) {
	if (s == "") return "-"
	if (s !~ /[^A-Za-z0-9_.\/:,=@+-]/) return s
	out = ""
	for (n = 1; n <= length(s); n++) {
		c = substr(s, n, 1)
		if (c ~ /[A-Za-z0-9_.\/:,=@+-]/) out = out c
		else out = out (c in hex ? hex[c] : "?")
	}
	return out
}
BEGIN { for (n = 0; n < 256; n++) hex[sprintf("%c", n)] = sprintf("%%%02X", n) }
'
# raw_scan prints what /proc shows, in sections that the awk below reads in one pass; no process is started per
# process. Sections are headed by a mark that stands on no argument list, so that no process can forge one. The last operand of each ls is
# our own process: a listing that was cut lacks it.
raw_scan() {
	printf '%s\n%s stat\n' "$h_mark" "$h_mark"
	cat /proc/[0-9]*/stat
	printf '%s args\n' "$h_mark"
	head -c 600 /proc/[0-9]*/cmdline | tr '\000\012' '\012\001'
	printf '\n%s links\n' "$h_mark"
	ls -ln /proc/[0-9]*/exe /proc/[0-9]*/ns/net /proc/[0-9]*/ns/mnt
	printf '%s fds\n' "$h_mark"
	ls -ln /proc/[0-9]*/fd /proc/self/fd
	printf '%s end\n' "$h_mark"
}

# scan_awk reads raw_scan and prints one line a finding, blank-separated, text percent-encoded, "-" for empty:
#   server PID START STATE COMM WHY FILE SOCKETS LISTENERS   a process that is, or acts like, a MySQL server
#   other KIND NAME PID                                      proxy, critical, vm, runtime, backup, packages
#   tcp PID PORT · unix PID PATH                             where a server or proxy listens
#   port PORT PID NAME                                       a MySQL port held by somebody else (PID 0: nobody seen)
#   mnt NAMESPACE PID                                        a mount namespace other than ours, its oldest process
#   missing WHAT PID START                                   a process that one of the listings left out; START "-": the first one
#   garbled WHAT TEXT · looked KIND N · seen fd|lock|listen · lockgone PID · done
# shellcheck disable=SC2016 # awk's
scan_awk='
function base(p) { sub(/ \(deleted\)$/, "", p); sub(/ .*/, "", p); sub(/:$/, "", p); sub(/.*\//, "", p); sub(/^-/, "", p); return p }
function number(h,   i, n) {
	n = 0; h = toupper(h)
	for (i = 1; i <= length(h); i++) n = n * 16 + index("0123456789ABCDEF", substr(h, i, 1)) - 1
	return n
}
# arg takes one argument of a process: the first names it; behind an ld.so, the first that is no option does.
function arg(p, a,   b) {
	if (argn[p]++ == 0) {
		name[p] = base(a)
		if (name[p] ~ /^ld(-linux.*|-musl.*|64|-[0-9.]+)?\.so(\.[0-9]+)*$/) loader[p] = 1
	} else if (loader[p]) {
		if (skip[p]) skip[p] = 0
		else if (a ~ /^--(library-path|preload|audit|argv0|inhibit-rpath|glibc-hwcaps-prepend|glibc-hwcaps-mask)$/) skip[p] = 1
		else if (a !~ /^-/) { name[p] = base(a); loader[p] = 0 }
	}
	if (argn[p] <= 16) allargs[p] = allargs[p] " " a
}
# tcp reads the listeners of one table, which stand first in it; the table that cannot be read gives 0.
function tcp(f,   line, x) {
	if ((getline line < f) <= 0) return 0
	while ((getline line < f) > 0) {
		split(line, x, " ")
		if (x[4] != "0A") break
		sub(/.*:/, "", x[2]); lport[x[10]] = number(x[2]); nlisten++
	}
	close(f)
	return 1
}
# listeners reads the listening sockets of one network namespace through process p.
function listeners(p, ns,   f, line, x, n, a) {
	if (!tcp("/proc/" p "/net/tcp") || (ipv6 == 1 && !tcp("/proc/" p "/net/tcp6"))) return 0
	f = "/proc/" p "/net/unix"
	if ((getline line < f) <= 0) return 0
	while ((getline line < f) > 0) {
		n = split(line, x, " ")
		if (x[4] != "00010000" || x[5] != "0001") continue
		a = ""
		if (n >= 8) { a = line; sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ /, "", a) }
		lpath[x[7]] = a; nlisten++
	}
	close(f)
	return 1
}
# locks reads /proc/locks, after the descriptors.
function locks(   line, s, n, x, y, got) {
	while ((got = (getline line < "/proc/locks")) > 0) {
		s = line; sub(/^[0-9]+: (-> )?/, "", s); split(s, x, " ")
		if (x[3] != "WRITE" && x[3] != "READ") { if (line != "") print "garbled locks " enc(substr(line, 1, 60)); continue }
		nlock++
		n = split(x[5], y, ":")
		if (y[n] == d[2]) seenlock = 1
		if (x[1] == "POSIX" && x[3] == "WRITE" && !(x[4] in comm)) print "lockgone " enc(x[4])
		if (x[3] == "WRITE") locked = locked "," y[n]
	}
	close("/proc/locks")
	if (got < 0) print "garbled locks unread"
}
BEGIN {
	n = split("mysqld mysqld-debug mariadbd mysqld-exp mysqld.bin", w, " "); for (i = 1; i <= n; i++) server[w[i]] = 1
	n = split("proxysql mysqlrouter maxscale haproxy docker-proxy", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "proxy"
	n = split("ndbd ndbmtd ndb_mgmd garbd", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "critical"
	n = split("xtrabackup mariabackup mariadb-backup mysqlbackup mysqldump mariadb-dump mysqlpump mydumper myloader gh-ost", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "backup"
	n = split("apt apt-get aptitude dpkg yum dnf dnf5 rpm zypper pacman apk unattended-upgr", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "packages"
	n = split("mysqld_safe mysqld_safe_helper mariadbd-safe mariadbd-safe-helper", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "supervisor"
	n = split("qemu-kvm kvm VBoxHeadless VirtualBoxVM firecracker cloud-hypervisor vmware-vmx bhyve xl", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "vm"
	n = split("dockerd containerd podman crio conmon lxd incusd lxc-start systemd-nspawn", w, " "); for (i = 1; i <= n; i++) kind[w[i]] = "runtime"
	n = split("3306 3307 3308 3309 33060 33061 33062 4006 4008 6032 6033 6446 6447 6448 6449", w, " "); for (i = 1; i <= n; i++) myport[w[i]] = 1
	n = split(critical, w, ","); for (i = 1; i <= n; i++) { m = split(w[i], x, ":"); if (x[2] != "") kind[x[2]] = "critical"; if (x[3] + 0 > 0) { critport[x[3]] = x[1] } }
	split(decoy, d, " ")
}
NR == 1 { mark = $1; next }
$1 == mark && NF == 2 {
	if (mark == "" || $2 in begun) { print "garbled section " enc($2); exit }
	begun[$2] = 1; section = $2
	if (section == "end") locks()
	if (section == "fds") {
		# Before the descriptors: the listening sockets of each namespace, through whichever of its processes still lives.
		for (p in netof) { ns = netof[p]; nets[ns] = 1; if (!(ns in netok) && listeners(p, ns)) netok[ns] = 1 }
		for (ns in nets) nnet++
		# A namespace that could not be read has ended, or it is one that we cannot see into.
		for (p in netof) if (!(netof[p] in netok)) print "missing net " p " " start[p]
	}
	next
}
section == "stat" {
	if (!match($0, /^[0-9]+ \(.*\) [A-Za-z] /)) { if ($0 != "") print "garbled stat " enc(substr($0, 1, 60)); next }
	match($0, /.*\)/); p = $1
	c = substr($0, index($0, "(") + 1, RLENGTH - index($0, "(") - 1)
	split(substr($0, RLENGTH + 2), f, " ")
	comm[p] = c; state[p] = f[1]; kthread[p] = int(f[7] / 2097152) % 2; threads[p] = f[18]; start[p] = f[20]; nproc++
	next
}
section == "args" {
	s = $0
	while (match(s, /==> \/proc\/[0-9]+\/cmdline <==\001/)) {
		if (cur != "" && RSTART > 2) arg(cur, substr(s, 1, RSTART - 2))
		split(substr(s, RSTART, RLENGTH), x, "/"); cur = x[3]
		if (cur in hasargs) print "garbled args " cur
		hasargs[cur] = 1
		s = substr(s, RSTART + RLENGTH)
	}
	if (cur != "" && s != "" && s != "\001") arg(cur, s)
	next
}
section == "links" {
	i = index($0, "/proc/"); if (!i) next
	s = substr($0, i); j = index(s, " -> ")
	split(j ? substr(s, 1, j - 1) : s, x, "/")
	if (!j) next
	t = substr(s, j + 4)
	if (x[4] == "exe") exe[x[3]] = t
	else if (x[5] == "net") netof[x[3]] = t
	else if (x[5] == "mnt") mntof[x[3]] = t
	next
}
section == "fds" {
	if (substr($0, 1, 6) == "/proc/") { split($0, x, "/"); p = x[3]; hasfds[p] = 1; if (p == "self") selffds = 1; next }
	j = index($0, " -> "); if (!j || p == "self") next
	t = substr($0, j + 4); nfd++
	if (substr(t, 1, 8) == "socket:[") {
		i = substr(t, 9, length(t) - 9); nsock[p]++
		if (i in lport) { lown[i] = p; nlis[p]++ } else if (i in lpath) { lown[i] = p; nlis[p]++ }
	} else if (substr(t, 1, 1) == "/" && t ~ /\/(ibdata[0-9]+|mysql\.ibd|ib_logfile[0-9]+|aria_log_control)( \(deleted\))?$|\/#innodb_redo\//) {
		# The decoy of another check, in a folder that only root writes to, is no server; a server there still is one.
		if (p == d[1]) seenfd = 1
		else if (t !~ /^\/(run|var\/lib\/interlock|run\/interlock)\/decoy\.[0-9]+\/ibdata1( \(deleted\))?$/) file[p] = t
	}
	next
}
function role(p,   b, k) {
	b = (p in exe) ? base(exe[p]) : ""
	if (name[p] in server || comm[p] in server || b in server) return "server"
	if (name[p] ~ /^qemu-system-/) return "vm"
	# It only waits for the next shutdown, on every Ubuntu.
	if (allargs[p] ~ / --wait-for-signal( |$)/ && comm[p] == "unattended-upgr") return ""
	k = ""
	if (name[p] in kind) k = kind[name[p]]; else if (b in kind) k = kind[b]; else if (comm[p] in kind) k = kind[comm[p]]
	return k
}
END {
	if (section != "end") { print "garbled scan " enc(section); exit }
	if (!selffds) print "garbled fds cut"
	for (p in hasfds) if (p != "self" && !(p in comm)) print "missing stat " p " -"
	for (p in comm) {
		if (kthread[p]) continue
		if (state[p] == "Z" && threads[p] <= 1) continue
		if (!(p in hasargs)) print "missing cmdline " p " " start[p]
		if (!(p in exe)) print "missing exe " p " " start[p]
		if (!(p in netof) || !(p in mntof)) print "missing ns " p " " start[p]
		if (!(p in hasfds)) print "missing fd " p " " start[p]
		k = role(p)
		if (k == "" && (p in file)) k = "holder"
		if (k == "backup" || k == "packages" || k == "vm" || k == "runtime" || k == "critical" || k == "supervisor") print "other " k " " enc(name[p] == "" ? comm[p] : name[p]) " " p
		if (k == "server" || k == "holder") print "server " p " " start[p] " " state[p] " " enc(name[p] == "" ? comm[p] : name[p]) " " k " " enc(file[p]) " " nsock[p] + 0 " " nlis[p] + 0
		if (k == "proxy") { proxies[p] = 1; if ((name[p] " " comm[p] " " ((p in exe) ? base(exe[p]) : "")) ~ /(^| )(proxysql|mysqlrouter|maxscale|haproxy)( |$)/) print "other proxy " enc(name[p]) " " p }
		roles[p] = k
	}
	for (i in lport) {
		o = (i in lown) ? lown[i] : 0
		if (o == d[1] && o != "" && lport[i] == d[3]) { seenlisten = 1; continue }
		if (o && roles[o] == "server" || roles[o] == "holder") print "tcp " o " " lport[i]
		else if (o && (o in proxies)) { if (lport[i] in myport || allargs[o] ~ / 3306( |$)/) print "other proxy " enc(name[o]) " " o; print "tcp " o " " lport[i] }
		else if (lport[i] in myport) print "port " lport[i] " " o " " enc(o ? name[o] : "")
		else if (lport[i] in critport) print "other critical " enc(critport[lport[i]]) " " o
	}
	for (i in lpath) {
		o = (i in lown) ? lown[i] : 0
		if (o && (roles[o] == "server" || roles[o] == "holder")) print "unix " o " " enc(lpath[i])
		else if (!o && lpath[i] ~ /mysql|maria/) print "port " enc(lpath[i]) " 0 -"
	}
	for (p in mntof) if (mntof[p] != mntof[self] && (!(mntof[p] in oldest) || start[p] + 0 < start[oldest[mntof[p]]] + 0)) oldest[mntof[p]] = p
	for (ns in oldest) { nmnt++; print "mnt " enc(ns) " " oldest[ns] }
	print "looked processes " nproc + 0
	print "looked descriptors " nfd + 0
	print "looked network_namespaces " nnet + 0
	print "looked mount_namespaces " nmnt + 1
	print "looked listeners " nlisten + 0
	print "looked locks " nlock + 0
	if (seenfd) print "seen fd"
	if (seenlock) print "seen lock"
	if (seenlisten) print "seen listen"
	print "locked " locked ","
	print "done"
}'

# scan_processes runs the scan; h_scan holds its findings, followed by "said" lines: what the tools complained of.
scan_processes() {
	h_ipv6=0 h_mark=''
	read -r h_mark 2>/dev/null </proc/sys/kernel/random/uuid || h_mark=$q_nonce
	[ -e /proc/net/tcp6 ] && h_ipv6=1
	h_scan=$(
		{
			{
				raw_scan | awk -v critical="$q_critical" -v decoy="$h_decoy" -v self="$h_pid" \
					-v ipv6="$h_ipv6" "$enc_awk$scan_awk" >&8
			} 2>&1 | awk '
				/No such (file|process)/ { next }
				{ gsub(/[^A-Za-z0-9_.\/:,=@+()-]/, "_"); if (n++ < 3) out = out "said " substr($0, 1, 160) "\n" }
				END { printf "%s", out }' >&8
		} 8>&1
	)
}

# judge_scan turns the findings into reasons, and keeps the servers for judge_servers.
judge_scan() {
	h_seen='' h_servers='' h_tcp='' h_unix='' h_mnt='' h_locked='' h_done=0
	s_ifs=$IFS
	set -f
	IFS=$nl
	for s_line in $h_scan; do
		IFS=' '
		# shellcheck disable=SC2086 # split on purpose
		set -- $s_line
		IFS=$nl
		case $1 in
		server) h_servers="$h_servers$s_line$nl" ;;
		tcp) h_tcp="$h_tcp $2:$3 " ;;
		unix) h_unix="$h_unix $2:$3 " ;;
		mnt) h_mnt="$h_mnt $3=$2" ;;
		seen) h_seen="$h_seen $2" ;;
		looked)
			add looked "$2" "$3"
			case $2:$3 in locks:0) ;; *:0) blind nothing-seen "no $2 at all could be seen" "see docs/checks.md: nothing-seen" ;; esac
			;;
		locked) h_locked=$2 ;;
		done) h_done=1 ;;
		other) judge_other "$2" "$3" "$4" ;;
		port)
			if [ "$3" = 0 ]; then
				blind listener-unowned "something that cannot be seen listens on $2" "find it with: ss -ltnp, in every network namespace"
			else
				blind listener-unknown "process $3 ($4) listens on MySQL's port $2 and is not known" "name it as [[critical]] in hosts.toml, or stop it"
			fi
			;;
		missing)
			if [ "$h_root" = 1 ] && [ "$h_missing" -lt 8 ] && started_at "$3" && [ "$t_state" != Z ] &&
				{ [ "$t_start" = "$4" ] || { [ "$4" = - ] && [ "$t_start" -lt "$h_start" ]; }; }; then
				h_missing=$((h_missing + 1))
				case $2 in
				exe) blind exe-unseen "the program of process $3 cannot be read" "run as root with CAP_SYS_PTRACE" ;;
				*) blind "$2-unseen" "the $2 entries of process $3 cannot be read" "run as root with CAP_SYS_PTRACE" ;;
				esac
			fi
			;;
		lockgone)
			if ! [ -d "/proc/$2" ] && grep -q "POSIX.*WRITE $2 " /proc/locks; then
				blind lock-holder-unseen "a file is locked by process $2, which cannot be seen" "ask the host itself, not a container on it"
			fi
			;;
		garbled) blind scan-garbled "/proc could not be read whole: $2 $3" "see docs/checks.md: scan-garbled" ;;
		said) [ "$h_root" = 0 ] || blind scan-denied "a probe complained: $2" "run as root with CAP_SYS_PTRACE" ;;
		*) blind scan-garbled "the scan printed a line that is not understood" "see docs/checks.md: scan-garbled" ;;
		esac
	done
	IFS=$s_ifs
	set +f
	[ "$h_done" = 1 ] || blind scan-garbled "the scan of /proc did not end" "see docs/checks.md: scan-garbled"
}

judge_other() {
	case $1 in
	backup | packages)
		h_busy="$h_busy $1"
		reason "busy-$1" "$2 (process $3) is at work" "wait until it has ended"
		;;
	vm) blind virtual-machine "a virtual machine runs here: $2 (process $3)" "look inside it, or move it away" ;;
	runtime) h_runtime="$h_runtime $2" ;;
	supervisor)
		case $h_scan in
		*"${nl}server "* | "server "*) ;; # the server that it watches over speaks for itself
		*) blind server-supervised "$2 (process $3) restarts a server that was not found" "stop it by its unit, or wait until its server runs" ;;
		esac
		;;
	proxy)
		worse proxy
		new_instance proxy "$3" "$2" -
		reason proxy "$2 (process $3) passes MySQL connections on" "drain it, then --allow proxy"
		;;
	critical)
		worse primary
		new_instance primary "$3" "$2" -
		reason critical-process "$2 (process $3) runs here" "stop it first"
		;;
	esac
}

# new_instance STATE PID PRODUCT DATADIR opens an instance in the report; what follows with "i" belongs to it.
new_instance() {
	h_instances=$((h_instances + 1))
	add instance "$h_instances"
	add i state "$1"
	[ "$2" = - ] || add i pid "$2"
	add i product "$3"
	[ "$4" = - ] || add i datadir "$4"
}

# ---- probe: what a server says -------------------------------------------------------------------------------

judge_servers() {
	h_datadirs=''
	s_ifs=$IFS
	set -f
	IFS=$nl
	for s_line in $h_servers; do
		IFS=' '
		# shellcheck disable=SC2086 # split on purpose
		set -- $s_line
		IFS=$s_ifs
		judge_server "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9"
		IFS=$nl
	done
	IFS=$s_ifs
	set +f
}

# judge_server PID START STATE NAME WHY FILE SOCKETS LISTENERS judges one process that is, or acts like, a server.
judge_server() {
	i_pid=$1 i_start=$2 i_name=$4 i_file=$6 i_sockets=$7 i_listeners=$8
	i_cwd=$(readlink "/proc/$i_pid/cwd" 2>/dev/null)
	i_state=unknown i_product=$i_name
	# What is said of it is put behind its state, which is known last.
	i_before=$h_report h_report=''
	h_datadirs="$h_datadirs$nl$i_cwd"
	if [ "$5" = holder ]; then
		h_file=$(pct "$i_file")
		h_datadirs="$h_datadirs$nl${h_file%/*}"
		reason data-file-held "process $i_pid ($i_name) holds $i_file open and is no server that is known" "see what it is: ls -l /proc/$i_pid/exe"
	elif [ "$3" = T ] || [ "$3" = t ]; then
		reason server-stopped-by-signal "$i_name (process $i_pid) is stopped by a signal and answers nobody" "kill -CONT $i_pid, or find out who stopped it"
	else
		ask_server
	fi
	i_said=$h_report h_report=$i_before
	new_instance "$i_state" "$i_pid" "$i_product" -
	h_report=$h_report$i_said
	worse "$i_state"
}

# ask_server finds a socket and a login, asks, and judges the answers.
ask_server() {
	i_socket='' i_tcp=''
	for a_item in $h_unix; do
		case $a_item in
		"$i_pid:"*mysqlx* | "$i_pid:@"* | "$i_pid:-") ;;
		"$i_pid:"*) i_socket=$(pct "${a_item#*:}"); break ;;
		esac
	done
	for a_item in $h_tcp; do case $a_item in "$i_pid:"*) i_tcp="$i_tcp ${a_item#*:}" ;; esac; done
	case $i_socket in
	'')
		reason no-socket "$i_name (process $i_pid) has no unix socket that could be asked; it may be starting, recovering or shutting down" \
			"wait, or give it a socket"
		return 0
		;;
	/*) i_path=/proc/$i_pid/root$i_socket ;;
	*) i_path=/proc/$i_pid/cwd/$i_socket ;;
	esac
	log_in || return 0
	i_version=$(printf '%s\n' "$i_q1" | awk -F '\t' '$1 == "version" { print $2; exit }')
	case $i_version in
	*MariaDB*) i_product=mariadb ;;
	[0-9]*.[0-9]*.*) i_product=mysql ;;
	*) reason odd-answer "$i_name (process $i_pid) gave no version" "see docs/checks.md: odd-answer"; return 0 ;;
	esac
	case $i_q1 in *"$tab"*[Pp]ercona*) i_product=percona ;; esac
	i_grants="GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE, XA_RECOVER_ADMIN ON *.* TO the account; GRANT SELECT ON performance_schema.* TO the account"
	[ "$i_product" != mariadb ] ||
		i_grants="GRANT PROCESS, SLAVE MONITOR, REPLICATION MASTER ADMIN ON *.* TO the account; GRANT SELECT ON performance_schema.* TO the account"
	i_version=$(clean "${i_version%%-*}")
	add i version "$i_version"
	if ! has_process; then
		reason no-process-privilege "the account on $i_name (process $i_pid) lacks PROCESS: it sees no connection but its own" \
			"$i_grants"
		return 0
	fi
	version_number
	i_q2=$(query "$(facts_sql)") || {
		reason query-denied "$i_name (process $i_pid) did not answer every question: $(clean "$(printf %s "$i_q2" | tail -n 1)")" \
			"$i_grants"
		return 0
	}
	read_facts && judge_role
}

# has_process tells whether a line of the grants names PROCESS for the whole server.
has_process() {
	p_ifs=$IFS p_found=1
	IFS=$nl
	for p_line in $i_q1; do
		case $p_line in
		"GRANT ALL PRIVILEGES ON *.* TO "* | "GRANT PROCESS ON *.* TO "* | "GRANT PROCESS, "*" ON *.* TO "* | \
			"GRANT "*", PROCESS ON *.* TO "* | "GRANT "*", PROCESS, "*" ON *.* TO "*) p_found=0 ;;
		esac
	done
	IFS=$p_ifs
	return "$p_found"
}

# version_number makes 80400 of 8.4.0.
version_number() {
	i_major=${i_version%%.*}
	i_minor=${i_version#*.}
	i_patch=${i_minor#*.}
	i_minor=${i_minor%%.*}
	i_patch=${i_patch%%[!0-9]*}
	i_number=$((i_major * 10000 + i_minor * 100 + ${i_patch:-0}))
}

# query runs SQL through the login that log_in found; what the client complains of is in its output.
query() {
	# shellcheck disable=SC2086 # one option, or two
	bounded 3 "$i_client" $i_login --protocol=socket --socket="$i_path" --connect-timeout=2 -B -e "$1" 2>&1
}

# log_in tries root on the socket, then the defaults files that the host already has, with each client program
# that is there. Sets i_client, i_login and i_q1, the answer about version and grants.
log_in() {
	l_files=''
	[ -z "$q_defaults64" ] || l_files=$(printf %s "$q_defaults64" | base64 -d)
	l_sql="SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version','version_comment');
		SHOW GRANTS; SELECT 'x' AS '@$q_nonce end'"
	l_clients='' l_error=''
	l_exe=$(readlink "/proc/$i_pid/exe" 2>/dev/null)
	l_exe=${l_exe% (deleted)}
	case $i_name in
	mariadb*) l_names="mariadb mysql" ;;
	*) l_names="mysql mariadb" ;;
	esac
	for l_name in $l_names; do
		for l_try in "$(command -v "$l_name")" "${l_exe%/*}/$l_name" "${l_exe%/*/*}/bin/$l_name"; do
			if [ -x "$l_try" ] && [ -f "$l_try" ]; then l_clients="$l_clients $l_try"; break; fi
		done
	done
	if [ -z "$l_clients" ]; then
		reason no-client "there is no mysql or mariadb client program to ask $i_name (process $i_pid) with" "install mysql-client or mariadb-client on the host"
		return 1
	fi
	for i_client in $l_clients; do
		for l_file in - "$l_files" /root/.my.cnf /etc/mysql/debian.cnf; do
			case $l_file in
			'') continue ;;
			-) i_login="--no-defaults --user=root" ;;
			*) [ -r "$l_file" ] || continue; i_login="--defaults-file=$l_file" ;;
			esac
			# shellcheck disable=SC2086 # one option, or two
			i_q1=$(bounded 3 "$i_client" $i_login --protocol=socket --socket="$i_path" --connect-timeout=2 -B -e "$l_sql" 2>&1)
			l_status=$?
			case $i_q1 in
			*"@$q_nonce end"*) [ "$l_status" = 0 ] && return 0 ;;
			esac
			case $l_status in
			124 | 13[0-9] | 14[0-9])
				reason server-silent "$i_name (process $i_pid) did not answer within 3 s" "see whether it hangs: its error log, gdb, perf"
				return 1
				;;
			esac
			[ -n "$l_error" ] || l_error=$(clean "$i_q1")
		done
	done
	reason no-login "no login to $i_name (process $i_pid) worked: ${l_error:-no answer}" \
		"CREATE USER root@localhost IDENTIFIED WITH auth_socket (unix_socket on MariaDB), or name a file as mysql_defaults_file in hosts.toml"
	return 1
}

# facts_sql prints the questions in the words that this server knows; each answer is headed by the nonce. GTID sets are
# selected: SHOW VARIABLES cuts a value after 1024 characters without a word.
facts_sql() {
	f_mark="SELECT 'x' AS '@$q_nonce"
	printf "%s me'; SELECT CONNECTION_ID(), CURRENT_USER();" "$f_mark"
	printf "%s variables'; SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir','port','socket','pid_file','read_only','super_read_only','offline_mode','server_uuid','server_id','wsrep_on','wsrep_provider','wsrep_cluster_name','group_replication_group_name','group_replication_single_primary_mode','performance_schema','skip_networking');" "$f_mark"
	printf "%s status'; SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime','Threads_connected','Connections','Innodb_rows_inserted','Innodb_rows_updated','Innodb_rows_deleted','wsrep_cluster_size','wsrep_cluster_status','wsrep_cluster_state_uuid','wsrep_local_state_comment','wsrep_incoming_addresses','group_replication_primary_member') OR Variable_name REGEXP '^Com_(insert|insert_select|update|update_multi|delete|delete_multi|replace|replace_select|load|create_table|drop_table|alter_table|truncate|call_procedure|rename_table|create_db|drop_db)\$';" "$f_mark"
	printf "%s processes'; SHOW PROCESSLIST;" "$f_mark"
	if [ "$i_product" = mariadb ]; then
		printf "%s sources'; SHOW ALL SLAVES STATUS; %s replicas'; SHOW SLAVE HOSTS;" "$f_mark" "$f_mark"
	elif [ "$i_number" -ge 80022 ]; then
		printf "%s sources'; SHOW REPLICA STATUS; %s replicas'; SHOW REPLICAS;" "$f_mark" "$f_mark"
	else
		printf "%s sources'; SHOW SLAVE STATUS; %s replicas'; SHOW SLAVE HOSTS;" "$f_mark" "$f_mark"
	fi
	if [ "$i_product" != mariadb ]; then
		printf "%s group'; SELECT * FROM performance_schema.replication_group_members;" "$f_mark"
		printf "%s gtid'; SELECT 1 AS gtids, @@GLOBAL.gtid_executed AS gtid_executed;" "$f_mark"
	else
		printf "%s gtid'; SELECT 1 AS gtids, @@GLOBAL.gtid_current_pos AS gtid_executed, @@GLOBAL.gtid_binlog_pos AS gtid_binlog_pos, @@GLOBAL.gtid_slave_pos AS gtid_slave_pos, @@GLOBAL.gtid_binlog_state AS gtid_binlog_state;" "$f_mark"
	fi
	printf "%s accounts'; SELECT USER, CURRENT_CONNECTIONS, TOTAL_CONNECTIONS FROM performance_schema.accounts WHERE USER IS NOT NULL;" "$f_mark"
	printf "%s prepared'; XA RECOVER;" "$f_mark"
	printf "%s transactions'; SELECT trx_id FROM information_schema.innodb_trx WHERE trx_started < NOW() - INTERVAL 60 SECOND;" "$f_mark"
	printf "%s end'" "$f_mark"
}

# facts_awk reads the answers: first a line "= …" of numbers that the role hangs on, then "i" lines for the report. A
# GTID set comes whole, in pieces; one of more than 128 KiB ends in ",cut", so that nobody can take it for a set.
# shellcheck disable=SC2016 # awk's
facts_awk='
function field(key, value) { if (value != "") { out = out "i\t" key "\t" enc(value) "\n"; lines++ } }
function gtids(key, set) {
	gsub(/\\n/, "", set)
	if (length(set) > 131072) set = substr(set, 1, 131072) ",cut"
	for (; set != ""; set = substr(set, 16001)) field(key, substr(set, 1, 16000))
}
function col(word) { return (word in at) ? $(at[word]) : "" }
BEGIN {
	FS = "\t"
	n = split(clients, w, ","); for (k = 1; k <= n; k++) monitor[w[k]] = 1
	mark = "@" nonce " "
}
# What stands before the first mark is a warning of the client program.
substr($0, 1, length(mark)) == mark { section = substr($0, length(mark) + 1); said[section]++; skip = 1; header = 0; next }
section == "" { next }
skip { skip = 0; next }
!header {
	header = 1; split("", at)
	for (k = 1; k <= NF; k++) { h = tolower($k); gsub(/master/, "source", h); gsub(/slave/, "replica", h); at[h] = k; width = NF }
	next
}
NF != width { odd = 1; next }
section == "me" { me = $1; user = $2; sub(/@.*/, "", user) }
section == "variables" { v[tolower($1)] = $2 }
section == "status" {
	if ($1 ~ /^(Com_|Innodb_rows_)/) writes += $2
	s[tolower($1)] = $2
}
section == "processes" {
	if ($1 == me) { visible++; next }
	if ($2 == "system user" || $2 == "event_scheduler" || $5 == "Daemon") next
	visible++
	# Donor and recipient of a clone: its command in the process list (clone_status exists with the plugin only).
	if (tolower($5) ~ /clone/ || toupper($8) ~ /^CLONE /) busy = busy " clone"
	if ($5 ~ /^Binlog Dump/) field("dump." dumps++, $3)
	else if ($2 in monitor) watching++
	else users++
}
section == "sources" {
	p = "source." ns++ "."
	field(p "channel", col("channel_name") col("connection_name")); field(p "host", col("source_host")); field(p "port", col("source_port"))
	field(p "uuid", col("source_uuid")); field(p "server_id", col("source_server_id"))
	io = col("replica_io_running"); sql = col("replica_sql_running")
	field(p "io_running", io); field(p "sql_running", sql)
	lag = col("seconds_behind_source"); if (lag != "" && lag != "NULL") field(p "lag_seconds", lag)
	field(p "delay_seconds", col("sql_delay"))
	e = col("last_io_error"); if (e == "") e = col("last_sql_error"); field(p "error", substr(e, 1, 300))
	field(p "auto_position", col("auto_position")); gtids(p "gtid", col("retrieved_gtid_set"))
	if (io != "Yes" || sql != "Yes") broken++
	where = where (where == "" ? "" : ",") col("source_host") ":" col("source_port")
}
section == "replicas" {
	p = "replica." nr++ "."
	field(p "server_id", col("server_id")); field(p "uuid", col("replica_uuid")); field(p "host", col("host")); field(p "port", col("port"))
}
section == "group" {
	state = col("member_state"); role = col("member_role"); id = col("member_id")
	if (state == "" || state == "OFFLINE") next
	# MySQL 5.7 has no roles: there is one primary, or each is one.
	if (role == "") { role = "PRIMARY"; g = s["group_replication_primary_member"]; if (g != "" && g != id) role = "SECONDARY" }
	p = "group." members++ "."
	field(p "uuid", id); field(p "host", col("member_host")); field(p "port", col("member_port")); field(p "state", state); field(p "role", role)
	if (group == "" || id == v["server_uuid"]) group = state
	if (id == v["server_uuid"]) { field("group_state", state); field("group_role", role) }
}
section == "gtid" { for (h in at) if (h != "gtids") gtids(h == "gtid_replica_pos" ? "gtid_slave_pos" : h, $(at[h])) }
section == "accounts" { if ($1 == user) own += $3; else if (!($1 in monitor)) others += $3; accounts++ }
section == "prepared" { prepared++ }
section == "transactions" { long++ }
END {
	n = split("me variables status processes sources replicas gtid accounts prepared transactions end", w, " ")
	for (k = 1; k <= n; k++) if (said[w[k]] != 1) { print "= cut " w[k]; exit }
	if (odd) { print "= cut columns"; exit }
	if (me == "" || v["datadir"] == "" || s["uptime"] == "" || s["threads_connected"] == "") { print "= cut values"; exit }
	if (group != "") {
		field("group_kind", "group-replication"); field("group_name", v["group_replication_group_name"]); field("group_size", members)
		if (v["group_replication_single_primary_mode"] == "ON") field("group_single_primary", "1")
	}
	# Without a provider nothing is replicated, whatever wsrep_on says; with one, a node that lost its cluster is of it still.
	if (v["wsrep_on"] == "ON" && (s["wsrep_cluster_size"] + 0 > 0 || v["wsrep_provider"] !~ /^(none)?$/)) {
		group = "wsrep:" s["wsrep_local_state_comment"]
		field("group_kind", "galera"); field("group_name", v["wsrep_cluster_name"]); field("group_uuid", s["wsrep_cluster_state_uuid"])
		field("group_size", s["wsrep_cluster_size"] + 0); field("group_status", s["wsrep_cluster_status"]); field("group_state", s["wsrep_local_state_comment"])
		n = split(s["wsrep_incoming_addresses"], w, ",")
		for (k = 1; k <= n; k++) if (match(w[k], /:[0-9]+$/)) {
			p = "group." members++ "."
			field(p "host", substr(w[k], 1, RSTART - 1)); field(p "port", substr(w[k], RSTART + 1))
		}
	}
	ro = "off"; if (v["read_only"] == "ON") ro = "on"; if (v["super_read_only"] == "ON") ro = "super"
	if (prepared) busy = busy " xa-prepared"
	if (long) busy = busy " long-transaction"
	field("port", v["port"]); field("socket", v["socket"]); field("datadir", v["datadir"]); field("uuid", v["server_uuid"]); field("server_id", v["server_id"])
	field("read_only", ro); if (v["offline_mode"] == "ON") field("offline_mode", "1")
	field("group_member", group); field("clients", users + 0); field("monitoring", watching + 0); field("uptime_seconds", s["uptime"])
	if (accounts == 0) { own = "-"; others = s["connections"] }
	net = (v["skip_networking"] == "ON") ? 0 : v["port"]
	print "= ok", ns + 0, nr + 0, dumps + 0, ro, users + 0, watching + 0, others + 0, own, writes + 0, (v["offline_mode"] == "ON") ? 1 : 0, \
		enc(group), s["uptime"], s["threads_connected"] + 0, visible + 0, net, enc(v["datadir"]), enc(v["pid_file"]), enc(where), broken + 0, enc(busy), lines + 0
	printf "%s", out
}'

# read_facts turns the answers into f_… and makes sure that the server that answered is the process that was found.
read_facts() {
	r_all=$(printf '%s\n' "$i_q2" | awk -v nonce="$q_nonce" -v clients="$q_clients" "$enc_awk$facts_awk")
	r_first=${r_all%%"$nl"*}
	# shellcheck disable=SC2086 # split on purpose
	set -- ${r_first#"= "}
	if [ "${1:-}" != ok ] || [ $# != 22 ]; then
		reason odd-answer "the answer of $i_name (process $i_pid) is cut or odd: ${2:-nothing}" "see docs/checks.md: odd-answer"
		return 1
	fi
	h_report=$h_report${r_all#*"$nl"}$nl
	f_sources=$2 f_replicas=$3 f_dumps=$4 f_ro=$5 f_users=$6 f_watching=$7 f_others=$8 f_own=$9
	shift 9
	f_writes=$1 f_offline=$2 f_group=$3 f_uptime=$4 f_threads=$5 f_visible=$6 f_net=$7 f_datadir=$(pct "$8") f_pidfile=$(pct "$9")
	shift 9
	f_where=$1 f_broken=$2 f_busy=$3
	h_count=$((h_count + $4))
	f_datadir=${f_datadir%/}
	h_datadirs="$h_datadirs$nl$f_datadir"
	if [ "$f_visible" -lt "$f_threads" ] && [ "$((f_threads - f_visible))" -gt 2 ]; then
		reason connections-hidden "$i_name shows $f_visible of $f_threads connections" "GRANT PROCESS ON *.* TO the account"
		return 1
	fi
	same_server
}

# same_server compares what the server says of itself with the process whose socket was used.
same_server() {
	e_dir=$({ cd -P "/proc/$i_pid/root$f_datadir" && pwd -P; } 2>/dev/null)
	e_dir=${e_dir#"/proc/$i_pid/root"}
	if [ "$f_datadir" != "${i_cwd%/}" ] && [ "$e_dir" != "${i_cwd%/}" ]; then
		reason wrong-server "the server on $i_socket says datadir $(clean "$f_datadir"), but process $i_pid works in $(clean "$i_cwd")" "see docs/checks.md: wrong-server"
		return 1
	fi
	if [ "$f_net" != 0 ] && [ -n "$i_tcp" ]; then
		case "$i_tcp " in
		*" $f_net "*) ;;
		*)
			reason wrong-server "the server on $i_socket says port $f_net, but process $i_pid listens on$i_tcp" "see docs/checks.md: wrong-server"
			return 1
			;;
		esac
	fi
	case $f_pidfile in
	/*) e_file=/proc/$i_pid/root$f_pidfile ;;
	*) e_file=/proc/$i_pid/cwd/$f_pidfile ;;
	esac
	if [ -f "$e_file" ] && read -r e_pid <"$e_file"; then
		case "$tab$(awk '$1 == "NSpid:" { gsub(/[ \t]+/, "\t"); print; exit }' "/proc/$i_pid/status" 2>/dev/null)$tab" in
		*"$tab$e_pid$tab"*) ;;
		*)
			reason wrong-server "the pid file of the server on $i_socket names process $(clean "$e_pid"), not $i_pid" "see docs/checks.md: wrong-server"
			return 1
			;;
		esac
	fi
	return 0
}

# judge_role makes a state of the facts of one server.
judge_role() {
	i_what="$i_product $i_version on ${f_net:-its socket}"
	[ "$f_net" != 0 ] || i_what="$i_product $i_version on $i_socket"
	for j_busy in $(pct "$f_busy" | tr -cd 'a-z -'); do
		case $j_busy in -) continue ;; esac
		h_busy="$h_busy $j_busy"
		reason "busy-$j_busy" "$i_what is busy: $j_busy" "wait until it has ended"
		add i busy "$j_busy"
	done
	weigh_evidence
	if [ "$f_group" != - ]; then
		i_state=primary
		reason group-member "$i_what is a member of a group ($f_group)" "take it out of the group first"
	elif [ "$f_replicas" -gt 0 ] || [ "$f_dumps" -gt 0 ]; then
		i_state=primary
		j_n=$f_replicas
		[ "$f_dumps" -le "$j_n" ] || j_n=$f_dumps
		reason has-replicas "$i_what has $j_n replicas and $f_users clients" "move its replicas to another source first"
	elif [ "$f_sources" -gt 0 ] && [ "$f_ro" = off ]; then
		i_state=primary
		reason replica-writable "$i_what replicates from $f_where and is not read-only" "SET GLOBAL super_read_only = ON (MariaDB: read_only)"
	elif [ "$f_sources" -gt 0 ]; then
		i_state=replica
		if [ "$f_broken" -gt 0 ]; then j_broken=", with a thread stopped"; else j_broken=; fi
		reason replica "$i_what replicates from $f_where$j_broken" "--allow replica, where the cluster can spare it"
		if [ "$f_users" -gt 0 ]; then
			h_serving=1
			reason serving "$i_what serves $f_users clients" "drain it, or --allow serving"
		fi
	elif [ "$f_users" = 0 ] && { [ "$f_offline" = 1 ] || [ "$f_ro" = super ]; } && [ "$((i_sockets - i_listeners))" -le "$f_watching" ]; then
		i_state=idle
		add i evidence drained
		reason drained "$i_what is drained: $([ "$f_offline" = 1 ] && echo offline_mode || echo super_read_only), no client" "--allow data"
	elif [ "$i_unused" -ge "$q_idle" ] && [ "$f_users" = 0 ] && [ "$((i_sockets - i_listeners))" -le "$f_watching" ]; then
		i_state=idle
		add i evidence unused
		reason unused "$i_what has had no connection but monitoring and no write for $i_unused s" "--allow data"
	else
		i_state=primary
		reason in-use "$i_what is not proven unused: $f_users clients, unused for $i_unused s of the $q_idle s that it takes" \
			"drain it (offline_mode, or super_read_only and no client), or look again after $q_idle s without a connection"
	fi
}

# weigh_evidence compares connections and writes with those of earlier checks, kept on the host. i_unused is for
# how many seconds nothing but checks and monitoring has connected and nothing was written, as far as checks have seen.
# A line of the file: boot id, pid, start, uptime when unchanged since, foreign connections, own connections, writes,
# uptime of the last check. Time is the host's uptime: no clock can be set wrong.
weigh_evidence() {
	i_unused=0
	[ -n "$h_dir" ] || return 0
	e_file=$h_dir/seen$(printf '%s' "$f_datadir" | tr -c 'A-Za-z0-9.-' '_')
	e_boot='' e_pid='' e_start='' e_since='' e_others='' e_own='' e_writes='' e_at=''
	if [ -r "$e_file" ]; then read -r e_boot e_pid e_start e_since e_others e_own e_writes e_at <"$e_file" || e_boot=''; fi
	e_new=$h_uptime e_mark=$h_boot
	# What was in use at the time is no beginning of a rest.
	if [ "$f_users" != 0 ] || [ "$((i_sockets - i_listeners))" -gt "$f_watching" ]; then e_mark=-; fi
	e_rate=$(awk -v w="$f_writes" -v t="$f_uptime" 'BEGIN { printf "%.1f %d", (t > 0 ? w / t : 0), t }')
	if [ "$e_boot" = "$h_boot" ] && [ "$e_pid" = "$i_pid" ] && [ "$e_start" = "$i_start" ] && [ "$h_uptime" -ge "${e_at:-0}" ]; then
		# Our own account has connected twice in this check: once to log in, once for the facts.
		if [ "$f_own" = - ]; then
			e_same=$([ "$f_others" = "$((e_others + 2))" ] && echo 1)
		else
			e_same=$([ "$f_others" = "$e_others" ] && [ "$f_own" = "$((e_own + 2))" ] && echo 1)
		fi
		if [ "$e_same" = 1 ] && [ "$f_writes" = "$e_writes" ] && [ "$f_users" = 0 ]; then e_new=$e_since; fi
		if [ "$h_uptime" -gt "$e_at" ]; then
			e_rate=$(awk -v w="$((f_writes - e_writes))" -v t="$((h_uptime - e_at))" 'BEGIN { printf "%.1f %d", w / t, t }')
		fi
		i_unused=$((h_uptime - e_new))
	fi
	add i writes_per_second "${e_rate% *}"
	add i writes_over_seconds "${e_rate#* }"
	printf '%s %s %s %s %s %s %s %s\n' "$e_mark" "$i_pid" "$i_start" "$e_new" "$f_others" "$f_own" "$f_writes" "$h_uptime" \
		>"$e_file.$h_pid" 2>/dev/null && mv -f "$e_file.$h_pid" "$e_file" 2>/dev/null
	rm -f "$e_file.$h_pid" 2>/dev/null
	if [ "$q_mode" = check ]; then
		e_size=$(bounded 1 du -sk "/proc/$i_pid/root$f_datadir" 2>/dev/null | awk '{ printf "%.0f", $1 * 1024; exit }')
		[ -z "$e_size" ] || add i data_bytes "$e_size"
	fi
}

# ---- probe: data without a server ----------------------------------------------------------------------------

# judge_datadirs looks at the directories that configuration files, defaults and hosts.toml name.
judge_datadirs() {
	d_conf=$(configured_datadirs) || blind config-unread "a MySQL configuration file cannot be read" "run as root"
	s_ifs=$IFS
	IFS=$nl
	for d_dir in $d_conf; do
		IFS=$s_ifs
		running_datadir "$d_dir" && continue
		if [ ! -d "$d_dir" ] || [ -z "$(ls -A "$d_dir" 2>/dev/null)" ]; then
			unclear datadir-missing "the configured data directory $(clean "$d_dir") is missing or empty: is its volume mounted?" \
				"mount it, or take datadir out of the configuration"
		else
			stopped_datadir "$d_dir" mysql
		fi
	done
	for d_dir in /var/lib/mysql /var/lib/mysql[-_0-9]* /var/lib/mariadb /usr/local/mysql/data /var/lib/pgsql/data; do
		IFS=$s_ifs
		if { [ -L "$d_dir" ] && [ ! -e "$d_dir" ]; } || { [ -d "$d_dir" ] && [ -z "$(ls -A "$d_dir" 2>/dev/null)" ]; }; then
			unclear datadir-missing "the data directory $(clean "$d_dir") is empty, or a link to nowhere: is its volume mounted?" "mount it, or remove $(clean "$d_dir")"
			continue
		fi
		[ -d "$d_dir" ] || continue
		if ! running_datadir "$d_dir" && looks_like_data "$d_dir"; then stopped_datadir "$d_dir" mysql; fi
	done
	IFS=$nl
	d_declared=''
	if [ -n "$q_data64" ]; then d_declared=$(printf %s "$q_data64" | base64 -d) || blind config-unread "the declared data paths did not arrive" "install base64"; fi
	for d_dir in $d_declared; do
		IFS=$s_ifs
		if [ -d "$d_dir" ]; then
			if ! d_list=$(ls -A "$d_dir" 2>/dev/null); then
				blind data-unread "the declared data directory $(clean "$d_dir") cannot be read" "run as root"
			elif [ -n "$d_list" ]; then
				stopped_datadir "$d_dir" data
			fi
		elif [ -e "$d_dir" ]; then
			stopped_datadir "$d_dir" data
		fi
	done
	IFS=$s_ifs
}

# configured_datadirs prints each datadir that an option file names, with the files that it includes.
configured_datadirs() {
	set --
	for c_file in /etc/my.cnf /etc/my.cnf.d/*.cnf /etc/mysql/my.cnf /etc/mysql/*.d/*.cnf /usr/local/mysql/my.cnf /usr/local/etc/my.cnf /root/.my.cnf; do
		if [ -e "$c_file" ]; then set -- "$@" "$c_file"; fi
	done
	[ $# -gt 0 ] || return 0
	for c_file in "$@"; do [ -r "$c_file" ] || return 1; done
	# Files include files, and so on; a chain of more than ten is somebody's mistake.
	for c_round in 1 2 3 4 5 6 7 8 9 10 end; do
		[ "$c_round" != end ] || return 1
		c_more=$(awk '/^[ \t]*!include(dir)?[ \t]/ { sub(/\r$/, ""); d = ($1 == "!includedir"); sub(/^[ \t]*!include(dir)?[ \t]+/, ""); sub(/[ \t]+$/, ""); print (d ? "d" : "f") $0 }' "$@") || return 1
		c_known=$nl c_new=0
		for c_file in "$@"; do c_known=$c_known$c_file$nl; done
		c_ifs=$IFS
		IFS=$nl
		for c_line in $c_more; do
			case $c_line in
			d*) c_line="${c_line#d}/*.cnf" ;;
			*) c_line=${c_line#f}; [ -r "$c_line" ] || return 1 ;;
			esac
			for c_file in $c_line; do
				case $c_known in *"$nl$c_file$nl"*) continue ;; esac
				[ -e "$c_file" ] || continue
				[ -r "$c_file" ] || return 1
				set -- "$@" "$c_file"
				c_known=$c_known$c_file$nl c_new=1
			done
		done
		IFS=$c_ifs
		[ "$c_new" = 1 ] || break
	done
	awk '
		{ sub(/\r$/, "") }
		/^[ \t]*(loose[-_])?datadir[ \t]*=/ { sub(/^[^=]*=[ \t]*/, ""); sub(/[ \t]*(#.*)?$/, ""); gsub(/^["\047]|["\047]$/, ""); if ($0 != "" && !seen[$0]++) print }' "$@"
}

# running_datadir tells whether a server that was found works in this directory.
running_datadir() {
	u_real=$({ cd -P "$1" && pwd -P; } 2>/dev/null)
	case "$h_datadirs$nl" in
	*"$nl${1%/}$nl"* | *"$nl${1%/}/$nl"*) return 0 ;;
	esac
	[ -n "$u_real" ] || return 1
	case "$h_datadirs$nl" in *"$nl$u_real$nl"*) return 0 ;; esac
	return 1
}

# looks_like_data tells whether a directory holds what a server leaves behind; one that cannot be read does.
looks_like_data() {
	[ -r "$1" ] && [ -x "$1" ] || return 0
	for k_name in ibdata1 mysql.ibd ib_logfile0 '#innodb_redo' aria_log_control auto.cnf mysql xtrabackup_checkpoints; do
		if [ -e "$1/$k_name" ]; then return 0; fi
	done
	return 1
}

# stopped_datadir DIR KIND reports data without a server. A lock on its files whose holder was not found means that
# there is a server, which cannot be seen.
stopped_datadir() {
	case "$h_stopped$nl" in *"$nl$1$nl"*) return 0 ;; esac
	h_stopped="$h_stopped$nl$1"
	t_name=$(printf '%s' "$1" | awk "$enc_awk"'{ printf "%s", enc($0) }')
	new_instance stopped - "$2" "${t_name:--}"
	for t_file in ibdata1 mysql.ibd aria_log_control; do
		[ -e "$1/$t_file" ] || continue
		t_inode=$(ls -id "$1/$t_file" 2>/dev/null)
		t_inode=${t_inode#"${t_inode%%[0-9]*}"}
		case "$h_locked" in
		*",${t_inode%% *},"*)
			blind data-locked "$t_name/$t_file is locked: a server that cannot be seen works on it" "ask the host itself, not a container on it"
			return 0
			;;
		esac
	done
	worse stopped
	if [ "$2" = data ]; then
		reason declared-data "$t_name holds data (hosts.toml says so)" "--allow data"
	else
		reason data-directory "$t_name holds data, and no server runs on it" "--allow data, if it may be lost"
	fi
}

# ---- probe: is there really nothing? ---------------------------------------------------------------------------

# search_host earns the word clear: mounts, devices, containers, exports, and every file system, within 2 s.
search_host() {
	look_at_mounts
	look_at_devices
	look_at_runtimes
	search_files
	# What was searched through a process that has ended or left meanwhile may not have been searched.
	m_links=''
	for m_item in $m_entered; do m_links="$m_links /proc/${m_item%%=*}/ns/mnt"; done
	# shellcheck disable=SC2012,SC2086 # names of our own kernel's
	[ -z "$m_links" ] || m_links=$(ls -ln $m_links 2>/dev/null)
	for m_item in $m_entered; do
		case "$m_links$nl" in *"/proc/${m_item%%=*}/ns/mnt -> $(pct "${m_item#*=}")$nl"*) continue ;; esac
		in_namespace "${m_item#*=}"
		[ "$m_pid" = none ] || unclear mount-namespace "a mount namespace changed while it was searched (process $m_pid)" "run it again"
	done
}

# mounts_awk reads the mountinfo of our namespace (ours=1) or another one, and prints
#   count N · mount MP ROOT DEV · covered MP · zfs · nsfs   for file systems that can hold data, each stretch once;
#   above MP                                                for those of them that others are mounted on;
#   absent MP                                               what /etc/fstab, where it is read behind, has and is not mounted.
# shellcheck disable=SC2016 # awk's
mounts_awk='
function hex2(s,   i, c, out) {
	# mountinfo escapes blanks as \040: here %20
	out = ""
	while ((i = index(s, "\\")) > 0) { c = substr(s, i + 1, 3); out = out substr(s, 1, i - 1) sprintf("%%%02X", substr(c, 1, 1) * 64 + substr(c, 2, 1) * 8 + substr(c, 3, 1)); s = substr(s, i + 4) }
	return out s
}
function under(a, b) { return a == b || a == "/" || substr(b, 1, length(a) + 1) == a "/" }
BEGIN {
	n = split("proc sysfs cgroup cgroup2 devpts securityfs debugfs tracefs pstore bpf mqueue hugetlbfs configfs fusectl binfmt_misc rpc_pipefs autofs efivarfs selinuxfs devtmpfs nsfs fuse.lxcfs fuse.gvfsd-fuse fuse.portal squashfs iso9660", w, " ")
	for (i = 1; i <= n; i++) pseudo[w[i]] = 1
}
FILENAME == "/etc/fstab" {
	if ($0 ~ /^[ \t]*(#|$)/ || $2 == "none" || $2 == "swap") next
	if ($3 ~ /^(swap|proc|sysfs|devpts|tmpfs|debugfs|cgroup|cgroup2|iso9660|udf|udf,iso9660|usbfs|efivarfs|securityfs|mqueue|hugetlbfs)$/) next
	want = $2; if (want != "/") sub(/\/+$/, "", want)
	wanted[want] = 1
	next
}
{
	for (i = 7; i <= NF && $i != "-"; i++);
	if (i > NF - 2) { print "odd"; exit }
	NM++
	id[NM] = $1; up[NM] = $2; dev[NM] = $3; root[NM] = $4; mp[NM] = $5; type[NM] = $(i + 1)
	if (type[NM] != "autofs") there[$5] = 1
}
END {
	print "count " NM + 0
	for (want in wanted) if (!(want in there)) { gsub(/[^A-Za-z0-9_.\/-]/, "_", want); print "absent " want }
	for (n = 1; n <= NM; n++) {
		if (type[n] == "zfs") print "zfs"
		if (type[n] == "nsfs" && root[n] ~ /^mnt:/) print "nsfs"
		if (type[n] in pseudo) continue
		if (type[n] == "overlay" && mp[n] != "/" && mp[n] ~ /^\/(var\/lib\/(docker|containers|containerd|kubelet|rancher|lxc|lxd|incus)|run\/(containerd|docker|containers))\//) continue
		hidden = 0
		for (m = 1; m <= NM; m++) {
			if (m == n) continue
			if (up[m] == up[n] && id[m] != id[n] && mp[m] != mp[n] && under(mp[m], mp[n])) hidden = 1
			if (up[m] == id[n] && mp[m] == mp[n] && mp[n] != "/") hidden = 1
		}
		if (hidden) { cover[n] = 1; continue }
		real[n] = 1
	}
	for (n in real) {
		again = 0
		for (m in real) if (m != n && dev[m] == dev[n] && under(root[m], root[n]) && (root[m] != root[n] || m + 0 < n + 0)) again = 1
		if (!again) print "mount " hex2(mp[n]) " " hex2(root[n]) " " dev[n]
		above = 0
		for (m = 1; m <= NM; m++) if (up[m] == id[n] && m != n) above = 1
		if (!again && above) print "above " hex2(mp[n])
		if (root[n] == "/") whole[dev[n]] = 1
		else if (type[n] != "btrfs") part[dev[n]] = n
	}
	for (d in part) if (!(d in whole)) print "part " hex2(mp[part[d]]) " " d
	for (n in cover) {
		again = 0
		for (m in real) if (dev[m] == dev[n] && under(root[m], root[n])) again = 1
		if (!again) print "covered " hex2(mp[n])
	}
}'

look_at_mounts() {
	set -- /proc/self/mountinfo
	if [ -r /etc/fstab ]; then
		set -- "$@" /etc/fstab
	elif [ -e /etc/fstab ]; then
		blind fstab-unread "/etc/fstab cannot be read" "run as root"
	fi
	m_all=$(awk "$mounts_awk" "$@") || m_all=odd
	m_ours='' m_above='' m_other='' m_entered='' m_zfs=0 m_n=0
	s_ifs=$IFS
	IFS=$nl
	for m_line in $m_all; do
		case $m_line in
		count\ *) m_n=${m_line#count } ;;
		mount\ *) m_ours="$m_ours$nl${m_line#mount }" ;;
		above\ *) m_above="$m_above$nl${m_line#above }" ;;
		covered\ *) unclear covered-mount "the file system at ${m_line#covered } lies under another mount" "unmount what covers it, and look again" ;;
		part\ *)
			m_mp=${m_line#part }
			m_mp=$(pct "${m_mp%% *}")
			if [ -d "$m_mp" ]; then unclear partial-mount "of the file system at $(clean "$m_mp") only a part is mounted" "mount all of it, and look again"; fi
			;;
		absent\ *) unclear not-mounted "fstab names ${m_line#absent }, which is not mounted" "mount ${m_line#absent }, or take it out of /etc/fstab" ;;
		zfs) m_zfs=1 ;;
		nsfs) unclear mount-namespace "a mount namespace is kept without a process: it was not searched" "see findmnt -t nsfs" ;;
		*) blind mounts-unread "/proc/self/mountinfo cannot be read" "mount /proc" ;;
		esac
	done
	IFS=$s_ifs
	add looked mounts "$m_n"
	[ "$m_n" -gt 0 ] || blind nothing-seen "no mounts at all could be seen" "see docs/checks.md: nothing-seen"
	# Mount namespaces of others: file systems that ours does not have, reached through a process in there. One that
	# ends has no mounts any more, and is in its namespace for a moment longer: it is asked again, or another one is.
	m_again=20
	for m_item in $h_mnt; do
		m_pid=${m_item%%=*}
		until their_mounts; do
			in_namespace "${m_item#*=}"
			[ "$m_pid" != none ] || continue 2
			[ "$m_again" -gt 0 ] || {
				unclear mount-namespace "the mounts of process $m_pid cannot be read" "run as root with CAP_SYS_PTRACE"
				continue 2
			}
			m_again=$((m_again - 1))
		done
		m_entered="$m_entered $m_pid=${m_item#*=}"
		IFS=$nl
		for m_line in $m_theirs; do
			case $m_line in
			mount\ *)
				m_line=${m_line#mount }
				case "$m_ours$nl" in
				*" / ${m_line##* }$nl"* | *" ${m_line#* }$nl"*) ;; # searched through our own mounts
				*) m_other="$m_other$nl/proc/$m_pid/root${m_line%% *}" ;;
				esac
				;;
			covered\ *) unclear covered-mount "the file system at ${m_line#covered } (process $m_pid) lies under another mount" "see docs/checks.md: covered-mount" ;;
			esac
		done
		IFS=$s_ifs
	done
}

# their_mounts reads the mounts of process m_pid; fails when there are none, since it has ended or may not be read.
their_mounts() {
	m_theirs=$(awk "$mounts_awk" "/proc/$m_pid/mountinfo" 2>/dev/null) || return 1
	case $m_theirs in "count 0" | '') return 1 ;; esac
}

# in_namespace sets m_pid to a process of a mount namespace: "none" when it has ended, "error" when that cannot be seen.
in_namespace() {
	# shellcheck disable=SC2012 # names of our own kernel's
	m_pid=$(ls -ln /proc/[0-9]*/ns/mnt 2>/dev/null | awk -v ns="$(pct "$1")" -v self="$h_pid" '
		{ i = index($0, "/proc/"); split(substr($0, i), x, "/") }
		x[3] == self { control = 1; next }
		pid == "" && substr($0, length($0) - length(ns)) == " " ns { pid = x[3] }
		END { print control ? (pid == "" ? "none" : pid) : "error" }')
}

# look_at_devices: a block device with a signature that nothing uses may hold a data directory.
look_at_devices() {
	if ! [ -d /sys/block ] || ! ls /sys/block >/dev/null 2>&1; then
		unclear devices-unread "/sys/block cannot be read" "mount /sys"
		return 0
	fi
	v_n=0
	for v_sys in /sys/block/* /sys/block/*/*; do
		[ -e "$v_sys/dev" ] || continue
		v_name=${v_sys##*/}
		case $v_name in ram[0-9]* | zram* | fd[0-9]* | sr[0-9]*) continue ;; esac
		v_n=$((v_n + 1))
		read -r v_size <"$v_sys/size" || v_size=1
		[ "$v_size" != 0 ] || continue
		read -r v_dev <"$v_sys/dev" || v_dev=''
		device_in_use && continue
		v_path=/dev/$(printf '%s' "$v_name" | tr '!' '/')
		if ! command -v blkid >/dev/null 2>&1; then
			unclear device-unread "the signature of $v_path cannot be read: no blkid" "install util-linux"
		elif ! bounded 2 dd if="$v_path" of=/dev/null bs=4096 count=1 2>/dev/null; then
			unclear device-unread "$v_path cannot be read" "see dmesg"
		else
			v_sig=$(bounded 2 blkid -p -o value -s TYPE -s PTTYPE "$v_path" 2>/dev/null)
			case $?:$v_sig in
			2:) ;;
			*) unclear device-not-mounted "$v_path holds $(clean "${v_sig:-something}") and is not in use" "mount it and look again, or wipe it: wipefs $v_path" ;;
			esac
		fi
	done
	add looked devices "$v_n"
	look_at_lvm
	if [ "$m_zfs" = 1 ]; then
		v_zfs=$(bounded 2 zfs list -H -o mounted,name -t filesystem,volume 2>/dev/null) || v_zfs="no zfs"
		case "$nl$v_zfs" in *"${nl}no"* | *"$nl-"*) unclear not-mounted "a ZFS data set is not mounted" "zfs mount -a, and look again" ;; esac
	fi
}

# look_at_lvm: a volume group that is partly in use may hold volumes that are not active, which no device shows.
look_at_lvm() {
	for l_uuid in /sys/block/dm-*/dm/uuid; do
		[ -r "$l_uuid" ] || continue
		read -r l_id <"$l_uuid" || l_id=LVM-
		case $l_id in LVM-*) ;; *) continue ;; esac
		l_all=$(bounded 2 lvs --noheadings -o lv_active,lv_full_name 2>/dev/null) || {
			unclear lvm-unread "the LVM volumes cannot be listed" "install lvm2"
			return 0
		}
		l_off=$(printf '%s\n' "$l_all" | awk '$1 != "active" { print $NF; exit }')
		[ -z "$l_off" ] || unclear not-mounted "the LVM volume $(clean "$l_off") is not active" "lvchange -ay $(clean "$l_off"), mount it, and look again"
		return 0
	done
}

# device_in_use: mounted, swap, or part of something that is looked at itself.
device_in_use() {
	for v_part in "$v_sys/$v_name"*; do if [ -e "$v_part/dev" ]; then return 0; fi; done
	for v_part in "$v_sys"/holders/*; do if [ -e "$v_part" ]; then return 0; fi; done
	[ -n "$v_dev" ] || return 1
	awk -v dev="$v_dev" -v path="/dev/$v_name" '
		FILENAME ~ /swaps$/ { if ($1 == path) hit = 1; next }
		{ for (i = 7; i <= NF && $i != "-"; i++); if ($3 == dev || $(i + 2) == path) hit = 1 }
		END { exit !hit }' /proc/self/mountinfo /proc/swaps 2>/dev/null
}

# look_at_runtimes asks container runtimes whether they keep containers; a runtime that cannot be asked may.
look_at_runtimes() {
	for c_name in ${h_runtime:-}; do
		case $c_name in
		dockerd) c_list=$(bounded 2 docker ps -aq 2>/dev/null) || c_list=error ;;
		containerd) case "${h_runtime:-}" in *dockerd*) continue ;; esac; c_list=$(bounded 2 ctr -n k8s.io containers ls -q 2>/dev/null) || c_list=error ;;
		podman | conmon) c_list=$(bounded 2 podman ps -aq 2>/dev/null) || c_list=error ;;
		*) c_list=error ;;
		esac
		case $c_list in
		'') ;;
		error) unclear container-runtime "$c_name runs and cannot be asked for its containers" "install its client, or stop it" ;;
		*) unclear container-runtime "$c_name keeps containers, whose volumes were not looked at" "remove them, or look inside" ;;
		esac
	done
}

look_at_exports() {
	for x_dev in /sys/block/drbd*; do
		[ -e "$x_dev/size" ] || continue
		read -r x_size <"$x_dev/size" || x_size=1
		[ "$x_size" = 0 ] || shared drbd "the DRBD device ${x_dev##*/} is here" "see what it carries: drbdadm status"
	done
	if [ -s /etc/exports ] && grep -q '^[[:space:]]*[^#[:space:]]' /etc/exports 2>/dev/null; then
		shared exports "/etc/exports shares directories with other hosts" "see exportfs -v; stop sharing first"
	fi
	for x_dir in /sys/kernel/config/target/iscsi/*; do
		if [ -d "$x_dir" ]; then shared exports "an iSCSI target exports devices from here" "see targetcli ls; stop sharing first"; break; fi
	done
}

# search_files looks for data on every file system at once, in a mount namespace of its own where each that others are
# mounted on is bound once more, so that what those cover is seen as well. Nothing of that outlives it.
search_files() {
	f_cover=''
	for f_try in /media /srv /mnt /opt /home /tmp; do
		[ -d "$f_try" ] || continue
		case "$m_ours$nl" in *"$nl$f_try "* | *"$nl$f_try/"*) continue ;; esac
		f_cover=$f_try
		break
	done
	set --
	s_ifs=$IFS
	IFS=$nl
	for f_line in $m_above; do
		f_mp=$(pct "$f_line")
		if [ -d "$f_mp" ]; then set -- "$@" "$f_mp"; fi
	done
	set -- "$@" --
	for f_line in $m_ours $m_other; do
		f_mp=${f_line%% *}
		case "$m_above$nl" in *"$nl$f_mp$nl"*) continue ;; esac
		f_mp=$(pct "$f_mp")
		if [ -d "$f_mp" ]; then set -- "$@" "$f_mp"; fi
	done
	IFS=$s_ifs
	# shellcheck disable=SC2016,SC2086 # the inner shell's; roots is a list of our own making
	f_out=$({ bounded 2 unshare -m --propagation private /bin/sh -c '
			cover=$1 decoy=$2; shift 2; n=0 roots= mounted=0
			mount -n -t tmpfs -o size=64k none "$cover" || exit 9
			while read -r _ _ _ _ mp _; do [ "$mp" != "$cover" ] || mounted=1; done </proc/self/mountinfo
			[ "$mounted" = 1 ] || exit 9
			for mp; do [ "$mp" != -- ] || break; n=$((n + 1)); roots="$roots $cover/$n"; done
			mkdir $roots || exit 9
			for root in $roots; do
				mount -n --bind "$1" "$root" || exit 9
				echo "root $root $1"; shift
			done
			shift
			exec find $roots "$@" "$decoy/." -xdev \( -name ibdata1 -o -name mysql.ibd -o -name aria_log_control -o -name ib_logfile0 \
				-o -name "#innodb_redo" -o -name auto.cnf -o -name xtrabackup_checkpoints -o -name "*.ibd" -o -name "*.MYD" -o -name "ibdata1.*" -o -name "*.xbstream" \) -print
			' sh "${f_cover:-/nonexistent}" "${h_decoy_dir:-/nonexistent}" "$@" 2>&1; echo "status $?"; } | awk -v own="/${h_decoy_dir##*/}/ibdata1" '
		/^status [0-9]+$/ { status = $2; next }
		/^root \// { r = $2; sub(/^root [^ ]+ /, ""); at[r] = ($0 == "/") ? "" : $0; next }
		/No such file or directory$/ { next }
		!/^\// { if (n++ < 2) { gsub(/[^A-Za-z0-9_.\/ -]/, "_"); print "said " substr($0, 1, 120) }; next }
		{
			last = $0
			if ($0 ~ /\/decoy\.[0-9]+\/(\.\/)?ibdata1$/) { if (index($0, own)) decoy = 1; next }
			dir = $0; name = dir; sub(/.*\//, "", name); sub(/\/[^\/]*$/, "", dir)
			if (name ~ /\.(ibd|MYD)$/ && name != "mysql.ibd") sub(/\/[^\/]*$/, "", dir)
			for (r in at) if (index(dir "/", r "/") == 1) { dir = at[r] substr(dir, length(r) + 1); break }
			if (!(dir in seen) && count++ < 20) { seen[dir] = 1; print "dir " dir }
		}
		# It is found through the mounts, and again as the last place of all: a listing that was cut lacks that.
		END { if (decoy && last ~ /\/\.\/ibdata1$/) print "decoy"; print "status " status + 0 }')
	f_decoy=0 f_status=255
	IFS=$nl
	for f_line in $f_out; do
		IFS=$s_ifs
		case $f_line in
		decoy) f_decoy=1 ;;
		dir\ *) running_datadir "${f_line#dir }" || stopped_datadir "${f_line#dir }" mysql ;;
		said\ *) unclear search-incomplete "the search of the file systems complained: ${f_line#said }" "see docs/checks.md: search-incomplete" ;;
		status\ *) f_status=${f_line#status } ;;
		esac
		IFS=$nl
	done
	IFS=$s_ifs
	case $f_status in
	0 | 1) ;;
	124 | 137 | 143) unclear search-bound "the search of the file systems did not end within 2 s" "name the places that hold data as [[data]] in hosts.toml; --allow member does not help here" ;;
	*) unclear search-incomplete "the file systems could not be searched (status $f_status)" "install util-linux (unshare, mount) and findutils" ;;
	esac
	if [ "$f_status" -le 1 ] && [ "$f_decoy" = 0 ] && [ -n "$h_decoy" ]; then
		blind control-unseen "the search of the file systems did not find its own decoy" "see docs/checks.md: control-unseen"
	fi
}

# next_boot: a reboot is only that when the next boot does not reinstall. What cannot be ruled out counts.
next_boot() {
	n_bad=''
	if [ -r /sys/kernel/kexec_loaded ]; then
		read -r n_kexec </sys/kernel/kexec_loaded || n_kexec=1
		[ "$n_kexec" = 0 ] || n_bad="$n_bad a kernel is loaded for kexec;"
	else
		n_bad="$n_bad it cannot be seen whether a kernel is loaded for kexec;"
	fi
	for n_env in /boot/grub/grubenv /boot/grub2/grubenv; do
		if [ -e "$n_env" ] && { ! [ -r "$n_env" ] || grep -q '^next_entry=.' "$n_env"; }; then n_bad="$n_bad grub has a next_entry;"; fi
	done
	if [ -d /sys/firmware/efi/efivars ]; then
		for n_var in /sys/firmware/efi/efivars/BootNext-*; do if [ -e "$n_var" ]; then n_bad="$n_bad BootNext is set;"; fi; done
		n_first=$(od -An -tx1 -j4 -N2 /sys/firmware/efi/efivars/BootOrder-* 2>/dev/null | awk '{ print toupper($2 $1); exit }')
		n_label=''
		[ -z "$n_first" ] || n_label=$(tr -d '\000' <"$(echo /sys/firmware/efi/efivars/Boot"$n_first"-*)" 2>/dev/null)
		case $n_label in
		'') n_bad="$n_bad the boot order cannot be read;" ;;
		*PXE* | *[Nn]etwork* | *[Ii][Pp][Vv][46]* | *HTTP*) n_bad="$n_bad the network comes first in the boot order;" ;;
		esac
	else
		n_bad="$n_bad there is no EFI, so the boot order cannot be read;"
	fi
	s_ifs=$IFS
	IFS=$nl
	for n_dir in ${h_datadirs:-}; do
		[ -n "$n_dir" ] || continue
		case "$(awk -v dir="$n_dir" '{ for (i = 7; i <= NF && $i != "-"; i++); if (index(dir "/", $5 == "/" ? "/" : $5 "/") == 1 && length($5) >= best) { best = length($5); type = $(i + 1) } } END { print type }' /proc/self/mountinfo)" in
		tmpfs | ramfs) n_bad="$n_bad the data directory lies in memory;" ;;
		esac
	done
	IFS=$s_ifs
	if [ -n "$n_bad" ]; then
		q_class=destructive
		reason next-boot "the next boot may reinstall or lose data:$n_bad this counts as destructive" "mend that, or --allow data where the state lets it"
	fi
}

# ---- verdict: class by state -----------------------------------------------------------------------------------

allowed() { case ",$q_allow," in *",$1,"*) return 0 ;; esac; return 1; }

# need refuses unless each allowance named is given.
need() {
	for n_word in "$@"; do
		if ! allowed "$n_word"; then
			h_verdict=refuse
			reason "needs-$n_word" "a $q_class command on a host that is $h_state takes --allow $n_word" "--allow $n_word, if that is what you want"
		fi
	done
}

# decide is the table of docs/design.md, "Classes". internal/policy holds the same one; a test compares them.
decide() {
	h_verdict=run
	add state "$h_state"
	[ "$h_serving" = 0 ] || add fact serving 1
	for d_busy in $h_busy; do add fact busy "$d_busy"; done
	case $q_class in
	read-only) ;;
	routine)
		if [ "$h_state" = unknown ] && [ "$q_onunknown" != 1 ]; then refuse_state "what cannot be seen counts as live"; fi
		;;
	disruptive | destructive)
		# Each instance counts, not the worst alone: a proxy does not hide the replica beside it.
		for d_state in $h_state $h_states; do decide_state "$d_state"; done
		case $h_state in clear | stopped) [ "$q_member" != 1 ] || need member ;; esac
		if [ -n "$h_busy" ]; then
			h_verdict=refuse
			reason busy "the host is busy:$h_busy" "wait until it has ended"
		fi
		;;
	*)
		h_verdict=refuse
		reason class-unknown "class $(clean "$q_class") is not understood" "use the client that this script came with"
		;;
	esac
	if [ "$q_mode" = check ]; then
		lock_seen
		lease_seen
		[ -z "$h_no_lease" ] || h_verdict=$h_no_lease
	fi
}

# decide_state is one column of the table, for what interrupts or destroys.
decide_state() {
	case $1 in
	clear) ;;
	stopped | idle) [ "$q_class" = disruptive ] || need data ;;
	replica)
		need replica
		[ "$q_class" = disruptive ] || need data
		[ "$h_serving" = 0 ] || need serving
		;;
	proxy)
		need proxy
		[ "$q_class" = disruptive ] || need data
		;;
	primary) refuse_state "no allowance lets a $q_class command through on a live primary" ;;
	*) refuse_state "what cannot be seen counts as live" ;;
	esac
}

refuse_state() {
	h_verdict=refuse
	reason "state-$h_state" "the host is $h_state: $1" "see the other reasons"
}

# ---- override --------------------------------------------------------------------------------------------------

# An override turns this host's no to a disruptive or destructive command into a yes, once. It is a file override.ID of the
# host's own making: the uptime when it lapses, and what it is bound to. ID is random; who knows it has seen the reasons.
# Locks and leases of others, and the want of a place for a lock, come later, and no override helps there.

# break_glass tries the override that was given, and offers one where that is asked for and the answer is no, or may become
# no at the client, who knows of other hosts.
break_glass() {
	[ "$h_root" = 1 ] && [ "$h_boot" != - ] || return 0
	case $q_class in disruptive | destructive) ;; *) return 0 ;; esac
	# A clear host that says yes is refused by nobody else.
	if [ -z "$q_override" ]; then
		[ "$q_offer" = 1 ] && [ "$h_verdict:$h_state" != run:clear ] || return 0
	fi
	# shellcheck disable=SC2086 # a list of words
	g_words=$(printf '%s\n' $h_words | awk '
		/^(locked|leased)$/ || NF == 0 { next }
		{ for (i = n++; i > 0 && w[i - 1] > $0; i--) w[i] = w[i - 1]; w[i] = $0 }
		END { for (i = 0; i < n; i++) printf "%s,", w[i]; print "." }')
	case $g_words in *.) ;; *) return 0 ;; esac
	g_words=${g_words%.}
	g_words=${g_words%,}
	g_words=${g_words:--}
	g_command="$q_class $q_shell ${q_cmd64:--}"
	g_bound="$h_boot ${h_machine:--} $h_state $g_words $g_command"
	read -r g_now _ </proc/uptime || return 0
	g_now=${g_now%%.*}
	[ -z "$q_override" ] || use_override
	[ "$q_offer" != 1 ] || [ -n "$h_glass" ] || offer_override
}

# use_override says yes where the override that was given is this host's, has not lapsed, and is bound to just this.
use_override() {
	for g_dir in $lock_dirs; do
		g_file=$g_dir/override.$q_override
		[ -r "$g_file" ] || continue
		read -r g_until g_boot g_machine g_state g_old g_rest <"$g_file" || g_until=0
		if lapsed; then
			no_override override-lapsed "the override $q_override has lapsed: it lasts ten minutes, and not beyond a boot"
		elif [ "$g_rest" != "$g_command" ]; then
			no_override override-command "the override $q_override was given for another command"
		elif [ "$g_machine $g_state $g_old" != "${h_machine:--} $h_state $g_words" ]; then
			no_override override-reasons "the override $q_override was given for other reasons: $g_state ($g_old), and now it is $h_state ($g_words)"
		else
			h_verdict=run h_glass=$g_file
			add fact override "$q_override"
		fi
		return 0
	done
	no_override override-unknown "this host has given no override $q_override, or it has been used"
}

# lapsed tells whether an override no longer counts; one that cannot be read does not.
lapsed() {
	case $g_until in '' | *[!0-9]*) return 0 ;; esac
	[ "$g_until" -le "$g_now" ] || [ "$g_boot" != "$h_boot" ]
}

no_override() {
	h_verdict=refuse
	reason "$1" "$2" "look at the reasons again, and use the override that comes with them"
}

# offer_override makes one, and takes away what has lapsed.
offer_override() {
	[ -n "$h_dir" ] || return 0
	set --
	for g_file in "$h_dir"/override.*; do
		[ -r "$g_file" ] || continue
		read -r g_until g_boot _ <"$g_file" || g_until=0
		if lapsed; then set -- "$@" "$g_file"; fi
	done
	[ $# = 0 ] || rm -f "$@"
	read -r g_id 2>/dev/null </proc/sys/kernel/random/uuid || return 0
	g_id=${g_id%%-*} g_line="$((g_now + 600)) $g_bound" g_read=''
	if (set -C; printf '%s\n' "$g_line" >"$h_dir/override.$g_id") 2>/dev/null &&
		read -r g_read <"$h_dir/override.$g_id" && [ "$g_read" = "$g_line" ]; then
		h_glass=$h_dir/override.$g_id
		add override "$g_id"
	fi
}

# spend_override: an override is for one command that starts.
spend_override() { [ -z "$h_glass" ] || rm -f "$h_glass"; }

# ---- lock, spool, end ------------------------------------------------------------------------------------------

lock_dirs='/var/lib/interlock /run/interlock'

# find_lock sets k_… to the lock that is in force; fails when there is none. A disruptive command that ended in a new boot
# has closed its own; so has one that was run elsewhere for this host, whatever its class, by a new boot or machine id.
find_lock() {
	for k_dir in $lock_dirs; do
		[ -e "$k_dir/lock" ] || continue
		k_id=- k_owner=- k_class=- k_boot=- k_since=- k_run=- k_for=- k_machine=-
		read -r k_id k_owner k_class k_boot k_since _ k_run k_for k_machine _ 2>/dev/null <"$k_dir/lock" || :
		k_over=0
		case $k_class:$k_for in disruptive:* | *:local) if [ "$k_boot" != "$h_boot" ] && [ "$h_boot" != - ]; then k_over=1; fi ;; esac
		if [ "$k_for" = local ] && [ "$k_machine" != "$h_machine" ] && [ "${h_machine:--}" != - ]; then k_over=1; fi
		# Whoever makes this mark, which stays, is the only one who may remove the lock of that id.
		if [ "$k_over" = 1 ] && (set -C; : >"$k_dir/closed.$k_id") 2>/dev/null; then
			rm -f "$k_dir/lock"
			add fact lock_closed "$k_id"
			continue
		fi
		return 0
	done
	return 1
}

# own_run tells whether $1 is the run that asks: what belongs to nobody is not its own.
own_run() { [ -n "$q_run" ] && [ "$1" = "$q_run" ]; }

# lock_seen reports the lock that is in force, and refuses unless a check finds that of its own run.
lock_seen() {
	h_held=''
	find_lock || return 0
	h_held=${k_id:--}
	add held lock "${k_id:--}" "${k_owner:--}" "${k_class:--}" "${k_run:--}" "${k_since:--}" "${k_for:--}" -
	if [ "$q_mode" = check ] && own_run "$k_run"; then return 0; fi
	reason locked "locked by ${k_owner:--} since ${k_since:--} (id ${k_id:--}, ${k_class:--})" \
		"wait for it to end; if its owner is gone: interlock locks break --reason TEXT $q_host ${k_id:-ID}"
}

# take_lock makes the lock and the spool; without a place for them nothing runs. Read-only and routine take none.
take_lock() {
	case $q_class in read-only | routine) return 0 ;; esac
	lock_seen
	if [ -n "$h_held" ] || leased_by_other; then
		h_verdict=locked
		[ -n "$h_held" ] || lease_seen
		return 0
	fi
	h_id=${q_nonce%????????????????????}
	if [ -z "$h_dir" ]; then
		h_verdict=refuse
		reason no-lock "no lock can be taken: neither /var/lib/interlock nor /run/interlock can be written" "make room on /var or /run: df -h, df -i"
		return 0
	fi
	# One write, after the exclusive creation: a lock without content still locks.
	if ! (set -C; : >"$h_dir/lock") 2>/dev/null; then
		lock_seen
		h_verdict=locked
		[ -n "$h_held" ] || reason locked "locked by someone who came first" "look again: interlock locks list $q_host"
		return 0
	fi
	k_now=$(bounded 2 date -u +%Y-%m-%dT%H:%M:%SZ)
	h_spool=$h_dir/spool/$h_id
	if ! write_lock "$h_dir/lock" || ! read -r k_id _ <"$h_dir/lock" || [ "$k_id" != "$h_id" ] ||
		{ [ "$q_mode" = run ] && ! make_spool; }; then
		rm -f "$h_dir/lock"
		h_verdict=refuse
		reason no-lock "the lock in $h_dir cannot be written" "make room: df -h $h_dir, df -i $h_dir"
		return 0
	fi
	h_lock=$h_dir/lock
	# A taker of a lease writes it first and then looks for a lock; we do the opposite. So one of the two sees the other.
	if leased_by_other; then
		undo_lock
		lease_seen
		h_verdict=locked
		return 0
	fi
	add lock "$h_id"
	[ "$q_mode" != run ] || add spool "$h_spool"
}

# write_lock FILE: id, owner, class, boot id, start, command, run, what it is held for, machine id.
write_lock() {
	k_for=run
	[ "$q_mode" = run ] || k_for=local
	printf '%s %s %s %s %s %s %s %s %s\n' "$h_id" "$q_owner" "$q_class" "$h_boot" "${k_now:=-}" "${q_cmd64:--}" "${q_run:--}" "$k_for" \
		"${h_machine:--}" >"$1" 2>/dev/null
}

# undo_lock gives up a lock under which nothing was started.
undo_lock() {
	drop_lock
	[ -z "$h_lock" ] || [ "$q_mode" != run ] || rm -rf "$h_spool"
	h_lock=''
}

# make_spool makes the files that the command's output goes to; they belong to the session's user.
make_spool() {
	{ [ -d "$h_dir/spool" ] || mkdir -m 711 "$h_dir/spool"; } && mkdir -m 711 "$h_spool" || return 1
	chmod 711 "$h_dir" "$h_dir/spool" || return 1
	: >"$h_spool/out" && : >"$h_spool/err" && mkfifo -m 600 "$h_spool/1" "$h_spool/2" || return 1
	write_lock "$h_spool/meta" || return 1
	[ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID" "$h_spool/out" "$h_spool/err" "$h_spool/1" "$h_spool/2"
}

# look_again repeats the scan of processes and listeners under the lock; what differs in servers is a surprise.
look_again() {
	c_then=$h_scan
	scan_processes
	if [ "$(printf '%s\nthen\n%s\n' "$c_then" "$h_scan" | awk '
		$1 == "then" { second = 1; next }
		$1 == "server" { key = $1 " " $2 " " $3 }
		$1 == "other" { key = $2 == "runtime" ? "" : $2 " " $3 " " $4 }
		$1 == "done" { key = "done"; ends++ }
		$1 !~ /^(server|other|done)$/ || key == "" { next }
		!second { was[key] = 1; n++; next }
		!(key in was) { odd = 1 }
		{ n-- }
		END { print (odd || n != 0 || ends != 2) ? "other" : "same" }')" != same ]; then
		undo_lock
		h_verdict=refuse
		reason changed-meanwhile "servers started or ended while the host was being looked at" "run it again"
	fi
}

# drop_lock removes the lock if it is still ours: it may have been broken, and taken by somebody else.
drop_lock() {
	[ -n "$h_lock" ] || return 0
	k_id=''
	read -r k_id _ 2>/dev/null <"$h_lock" || :
	[ "$k_id" != "$h_id" ] || rm -f "$h_lock"
}

# follow_command holds the lock until the command has ended, and records its end. The parent's end of the pipe
# closing without a word means that the parent is gone: the command may still run, so the lock stays.
follow_command() {
	case $q_class:$h_verdict in disruptive:* | destructive:* | *:run) log_decision ;; esac
	[ "$h_verdict" = run ] || exit 0
	f_run=0 f_since=0
	while IFS=' ' read -r f_word f_value; do
		case $f_word in
		started)
			f_run=1
			spend_override
			read -r f_since _ </proc/uptime || f_since=0
			f_since=${f_since%%.*}
			started_at "$f_value" && [ -n "$h_lock" ] &&
				printf '%s %s %s\n' "$f_value" "$t_start" "$t_pgrp" >"$h_spool/process"
			;;
		ended)
			read -r l_now _ </proc/uptime || l_now=$f_since
			l_now=${l_now%%.*}
			[ -z "$h_lock" ] || {
				printf '%s %s\n' "$f_value" "$(bounded 2 date -u +%Y-%m-%dT%H:%M:%SZ)" >"$h_spool/end"
				rm -f "$h_spool/1" "$h_spool/2"
				drop_lock
			}
			log_event ended "$h_id" ",\"status\":\"$f_value\",\"seconds\":$((l_now - f_since))"
			exec >&- 2>&-
			sweep_spool
			exit 0
			;;
		*) break ;;
		esac
	done
	[ "$f_run" = 1 ] || undo_lock
	exit 0
}

# ---- lease -----------------------------------------------------------------------------------------------------

# A lease says that a run relies on this host. It is the youngest of the files lease.N in a directory: made whole by a link
# that only one can make, never altered, and replaced by N+1: by its own run, to renew or to release it, or by anybody once
# it has run out. So of any number of takers one gets N+1, and nobody removes what another has just made. Time is the
# host's uptime. A line: id, run, owner, boot id, uptime when it runs out, since when. A renewed lease keeps its id.

# find_lease DIR sets l_n to the number of the youngest lease there, and l_… to what it says; fails unless it is in force. One
# that cannot be understood is.
find_lease() {
	l_n=0 l_left=-
	for l_file in "$1"/lease.[0-9]*; do
		l_i=${l_file##*.}
		case $l_i in *[!0-9]*) continue ;; esac
		[ "$l_i" -le "$l_n" ] || l_n=$l_i
	done
	while [ -e "$1/lease.$((l_n + 1))" ]; do l_n=$((l_n + 1)); done
	[ "$l_n" -gt 0 ] || return 1
	l_id=- l_run=- l_owner=- l_boot=- l_until=- l_since=-
	read -r l_id l_run l_owner l_boot l_until l_since _ 2>/dev/null <"$1/lease.$l_n" || :
	read -r l_now _ </proc/uptime || return 0
	l_now=${l_now%%.*}
	case $l_until in '' | *[!0-9]*) return 0 ;; esac
	l_left=$((l_until - l_now))
	[ "$l_left" -gt 0 ] || return 1
	case $h_boot in - | "$l_boot") return 0 ;; esac
	return 1
}

# leased_by_other tells whether a lease of another run is in force.
leased_by_other() {
	for l_dir in $lock_dirs; do
		if find_lease "$l_dir" && ! own_run "$l_run"; then return 0; fi
	done
	return 1
}

# lease_seen reports leases in force; one of another run is told as a reason.
lease_seen() {
	for l_dir in $lock_dirs; do
		find_lease "$l_dir" || continue
		add held lease "${l_id:--}" "${l_owner:--}" - "${l_run:--}" "${l_since:--}" - "$l_left"
		own_run "$l_run" ||
			reason leased "${l_owner:--} relies on this host since ${l_since:--} (lease $l_id, $l_left s left)" \
				"wait until that run has ended; if its owner is gone, the lease runs out by itself"
	done
}

# take_lease takes or renews the lease of q_run before anything is looked at. h_no_lease is the verdict where there is none to
# be had. A lock of another run is none of these: the facts are told, and the lock among them.
take_lease() {
	if [ -z "$h_dir" ] || [ "$h_boot" = - ]; then
		h_no_lease=refuse
		reason no-lease "no lease can be taken: neither /var/lib/interlock nor /run/interlock can be written" "make room on /var or /run: df -h, df -i"
	elif leased_by_other; then
		h_no_lease=locked
	elif locked_by_other; then
		:
	elif ! write_lease "$q_lease"; then
		if leased_by_other; then
			h_no_lease=locked
		else
			h_no_lease=refuse
			reason no-lease "the lease in $h_dir cannot be written" "make room: df -h $h_dir, df -i $h_dir"
		fi
	elif leased_by_other; then # in the other directory, where ours could not be written
		h_no_lease=locked
		release_lease
	elif locked_by_other; then
		release_lease
	else
		h_lease=$l_new
		add lease "$h_lease"
	fi
}

locked_by_other() { find_lock && ! own_run "$k_run"; }

# write_lease SECONDS writes the next lease of h_dir, of q_run; 0 releases it, with "any" that of any run. Fails when
# somebody else was faster, or nothing can be written. Sets l_new, its id.
write_lease() {
	l_new=${q_nonce%????????????????????}
	if find_lease "$h_dir"; then
		own_run "$l_run" || [ "${2:-}" = any ] || return 1
		l_new=${l_id:--}
	else
		l_since=$(bounded 2 date -u +%Y-%m-%dT%H:%M:%SZ)
		read -r l_now _ </proc/uptime || return 1
		l_now=${l_now%%.*}
	fi
	l_next=$((l_n + 1)) l_file=$h_dir/new-lease.$h_pid l_until=0
	[ "$1" = 0 ] || l_until=$((l_now + $1))
	l_line="$l_new ${q_run:--} $q_owner $h_boot $l_until ${l_since:--}"
	l_read=''
	printf '%s\n' "$l_line" >"$l_file" 2>/dev/null && read -r l_read 2>/dev/null <"$l_file" && [ "$l_read" = "$l_line" ] &&
		ln "$l_file" "$h_dir/lease.$l_next" 2>/dev/null
	l_made=$? l_for=$1
	# Older ones go, but for a few: whoever lists the directory meanwhile must find one of the youngest.
	set -- "$l_file"
	for l_file in "$h_dir"/lease.[0-9]*; do
		l_i=${l_file##*.}
		case $l_i in *[!0-9]*) continue ;; esac
		[ "$l_i" -ge "$((l_next - 8))" ] || set -- "$@" "$l_file"
	done
	rm -f "$@" 2>/dev/null
	# A number that was free because it had long been passed is not the youngest. Another session of our run may have been
	# faster; a tool that lies made nothing.
	if find_lease "$h_dir"; then
		l_new=$l_id
		own_run "$l_run" && [ "$l_for" != 0 ]
	else
		[ "$l_for" = 0 ] && [ "$l_made" = 0 ] && [ "$l_n" -ge "$l_next" ]
	fi
}

# release_lease ends the lease of q_run, wherever it is; what cannot be written runs out by itself.
release_lease() {
	l_keep=$h_dir l_ended=1
	for h_dir in $lock_dirs; do
		if find_lease "$h_dir" && own_run "$l_run"; then write_lease 0 || l_ended=0; fi
	done
	h_dir=$l_keep
	[ "$l_ended" = 1 ]
}

# serve_lease takes, renews or (lease=0) releases a lease without an inspection: "lease ID SECONDS", or why not.
serve_lease() {
	host_only
	state_dir
	[ -z "$h_decoy_dir" ] || rm -rf "$h_decoy_dir"
	[ -n "$q_run" ] || die 64 "lease: no run"
	if [ "$q_lease" = 0 ]; then
		release_lease || die 1 "release the lease: it cannot be written; it runs out by itself"
		return 0
	fi
	take_lease
	if [ -n "$h_lease" ]; then
		printf 'lease %s %s\n' "$h_lease" "$q_lease"
		return 0
	fi
	[ "$h_no_lease" != refuse ] || die 77 "no lease can be written on this host: make room on /var or /run"
	if leased_by_other; then die 75 "$l_owner relies on this host (lease $l_id, $l_left s left)"; fi
	locked_by_other || die 75 "somebody else was faster"
	die 75 "locked by $k_owner since $k_since (id $k_id, $k_class)"
}

# log_event EVENT ID [FIELDS] writes one line of JSON to the host's log. Values are our own words, percent-encoded or base64.
# A line of syslog holds 1 KiB: long commands and reasons are cut, to whole characters of base64.
log_event() {
	command -v logger >/dev/null 2>&1 || return 0
	e_reason=$q_reason64
	[ "${#e_reason}" -le 200 ] || e_reason=$(printf %.200s "$e_reason")
	[ -z "$e_reason" ] || e_reason=",\"reason64\":\"$e_reason\""
	bounded 2 logger -t interlock -p auth.notice -- "{\"event\":\"$1\",\"id\":\"${2:--}\",\"run\":\"${q_run:--}\",\"owner\":\"$q_owner\"${3:-}$e_reason}" 2>/dev/null
	return 0
}

log_decision() {
	e_words=${h_words# } e_command=$q_cmd64
	[ "${#e_words}" -le 200 ] || e_words=$(printf %.200s "$e_words")
	[ "${#e_command}" -le 400 ] || e_command=$(printf %.400s "$e_command")
	log_event decision "${h_id:--}" ",\"class\":\"$q_class\",\"state\":\"$h_state\",\"verdict\":\"$h_verdict\",\"reasons\":\"$e_words\",\"allow\":\"$q_allow\",\"override\":\"$q_override\",\"for\":\"$q_mode\",\"command64\":\"$e_command\""
}

# sweep_spool keeps the outputs of the last 20 commands.
sweep_spool() {
	find "$h_dir" -name 'closed.*' -mtime +7 -exec rm -f {} + 2>/dev/null
	# shellcheck disable=SC2012 # the names are our own: hexadecimal
	ls -1t "$h_dir/spool" 2>/dev/null | awk 'NR > 20' | while read -r w_id; do
		case $w_id in *[!0-9a-f]* | '') ;; *) rm -rf "${h_dir:?}/spool/$w_id" ;; esac
	done
}

show_logs() {
	if [ -z "$q_id" ]; then
		for l_dir in $lock_dirs; do
			for l_spool in "$l_dir"/spool/*; do
				[ -r "$l_spool/meta" ] || continue
				l_end=-
				[ ! -r "$l_spool/end" ] || read -r l_end <"$l_spool/end"
				read -r l_meta <"$l_spool/meta"
				printf '%s %s\n' "${l_end%% *}" "$l_meta"
			done
		done
		return 0
	fi
	for l_dir in $lock_dirs; do
		if [ -d "$l_dir/spool/$q_id" ]; then
			cat "$l_dir/spool/$q_id/out"
			cat "$l_dir/spool/$q_id/err" >&2
			return 0
		fi
	done
	die 1 "no output is kept under id $q_id"
}

# host_only is for what inspects nothing: the facts of the host that locks and leases hang on.
host_only() {
	h_report='' h_count=0 h_codes='' h_words='' h_root=0 h_blind=0 h_lease='' h_no_lease='' h_dir='' h_decoy_dir=''
	read -r h_pid _ </proc/self/stat || h_pid=$$
	who_am_i
	[ "$w_uid" = 0 ] || die 77 "$q_mode: not root"
	h_root=1
	host_facts
}

# show_locks lists locks and leases, or breaks (release=1: releases) that of q_id. A line: lock or lease; for a lock "running",
# "gone" or "-" and the command's pid, for a lease the seconds that it has left and "-"; whether output is kept; "now", or
# "older" for what another boot left; then what stands in the file.
show_locks() {
	host_only
	l_found=0
	find_lock || : # closes what a boot has closed
	for k_dir in $lock_dirs; do
		if [ -e "$k_dir/lock" ]; then
			k_line=''
			read -r k_line 2>/dev/null <"$k_dir/lock" || :
			if [ -z "$q_id" ]; then show_lock; else end_lock; fi
		fi
		if find_lease "$k_dir"; then
			if [ -z "$q_id" ]; then
				read -r k_line 2>/dev/null <"$k_dir/lease.$l_n" || k_line=''
				printf 'lease %s - - now %s\n' "$l_left" "${k_line:--}"
			elif [ "$l_id" = "$q_id" ] || { [ -z "$l_id" ] && [ "$q_id" = 0 ]; }; then
				end_lease
			fi
		fi
	done
	[ -z "$q_id" ] || [ "$l_found" = 1 ] || die 1 "there is no lock or lease with id $q_id"
}

show_lock() {
	# shellcheck disable=SC2086 # split on purpose
	set -- $k_line
	k_alive=- k_pid=- k_kept=- k_when=now
	[ "${4:--}" = "$h_boot" ] || k_when=older
	if [ -n "${1:-}" ] && [ -d "$k_dir/spool/$1" ]; then
		k_kept=kept
		if [ -r "$k_dir/spool/$1/process" ]; then
			read -r k_pid k_start _ <"$k_dir/spool/$1/process"
			if started_at "$k_pid" && [ "$t_start" = "$k_start" ]; then k_alive=running; else k_alive=gone; fi
		fi
	fi
	printf 'lock %s %s %s %s %s\n' "$k_alive" "$k_pid" "$k_kept" "$k_when" "${k_line:--}"
}

# end_lock removes the lock of q_id; only its own run may release it.
end_lock() {
	[ "${k_line%% *}" = "$q_id" ] || { [ -z "$k_line" ] && [ "$q_id" = 0 ]; } || return 0
	# shellcheck disable=SC2086 # split on purpose
	set -- $k_line
	k_event=lock-broken
	if [ "$q_release" = 1 ]; then
		own_run "${7:-}" || die 1 "the lock $q_id belongs to another run: to break it, interlock locks break"
		k_event=lock-released
	fi
	rm -f "$k_dir/lock"
	[ ! -e "$k_dir/lock" ] || die 1 "break the lock: $k_dir/lock cannot be removed"
	l_found=1
	log_event "$k_event" "$q_id"
}

# end_lease ends a lease by replacing it, whoever holds it.
end_lease() {
	h_dir=$k_dir
	write_lease 0 any || die 1 "break the lease: nothing can be written in $k_dir; it runs out in $l_left s"
	l_found=1
	log_event lease-broken "$q_id"
}

# signal_command sends a signal to the process group of a recorded command, if that is still the same process.
signal_command() {
	case $q_signal in INT | TERM | HUP | KILL) ;; *) die 64 "signal: want INT, TERM, HUP or KILL" ;; esac
	for l_dir in $lock_dirs; do
		[ -r "$l_dir/spool/$q_id/process" ] || continue
		read -r l_pid l_start l_pgrp <"$l_dir/spool/$q_id/process"
		if ! started_at "$l_pid" || [ "$t_start" != "$l_start" ] || [ "$t_pgrp" != "$l_pgrp" ]; then
			die 1 "the command with id $q_id has ended"
		fi
		kill -s "$q_signal" -- "-$l_pgrp" || die 1 "signal the process group $l_pgrp: not possible"
		return 0
	done
	die 1 "no running command with id $q_id"
}

# ---- ways in ---------------------------------------------------------------------------------------------------

main() {
	parse_request "$@"
	if [ -n "$q_helper" ]; then
		helper_main
	elif [ -n "$q_script" ]; then
		session
	else
		# By hand, on the host.
		read -r q_uuid </proc/sys/kernel/random/uuid || die 69 "read /proc/sys/kernel/random/uuid: mount /proc"
		q_nonce=
		IFS=-
		for q_arg in $q_uuid; do q_nonce=$q_nonce$q_arg; done
		[ "$q_mode" = check ] || die 64 "by hand, only the check runs: sh check.sh"
		helper_main
	fi
}

main "$@"
exit $?
