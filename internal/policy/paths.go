package policy

import (
	"path"
	"slices"
	"strings"
)

// harmlessDevices are the devices that can be read without a consequence. Opening /dev/watchdog starts the
// countdown to a reset, reading a tape moves it, reading /dev/input takes what others wait for.
var harmlessDevices = []string{"/dev/null", "/dev/zero", "/dev/urandom"}

// What can be read under /proc. Left out: kmsg (takes the messages away), kcore, mem and fd (another
// process's memory, pipes and devices), smaps (stops a large process while it is counted), root and cwd (a
// way to everywhere).
var (
	procFiles = strings.Fields(`buddyinfo cgroups cmdline consoles cpuinfo crypto devices diskstats filesystems
		interrupts loadavg locks mdstat meminfo misc modules mounts pagetypeinfo partitions softirqs stat swaps
		uptime version vmstat zoneinfo`)
	procTrees    = strings.Fields(`net sys pressure`)
	processFiles = strings.Fields(`autogroup cgroup cmdline comm cpuset environ io limits loginuid maps mountinfo mounts
		mountstats numa_maps oom_adj oom_score oom_score_adj sched schedstat sessionid stack stat statm status
		syscall wchan`)
)

const globChars = "*?["

// findable tells why what v names may not even be looked up; "" when it may. It is what readable is, but / and
// all of /proc may be looked at. /dev and /sys may not: a program that looks a device up is one version away
// from opening it.
func findable(v word) string {
	if v.kind != exact && v.kind != glob {
		return "which file this means is not known beforehand"
	}
	text := v.text
	if v.kind == exact && !v.tilde && (text == "" || strings.Trim(path.Clean(text), "./") == "") {
		return ""
	}
	if !v.tilde && !strings.Contains(text, "..") && (strings.TrimRight(text, "/") == "/proc" || strings.HasPrefix(text, "/proc/")) {
		return ""
	}
	if v.kind == exact {
		for strings.HasPrefix(text, "../") {
			text = text[3:]
		}
	}
	return readablePath(text, v.kind == glob, v.tilde)
}

// readable tells why the file or files that v names may not be opened for reading; "" when they may.
// A path that the command does not state in full may lead to a device, so it may not.
func readable(v word) string {
	if v.kind != exact && v.kind != glob {
		return "which file is read is not known beforehand"
	}
	return readablePath(v.text, v.kind == glob, v.tilde)
}

func readablePath(text string, pattern, tilde bool) string {
	if tilde {
		_, rest, _ := strings.Cut(text, "/")
		text = "./" + rest // no home directory is known to be /, and one that is has no business in /dev
	}
	if !pattern {
		if text == "" || text == "-" {
			return ""
		}
		if slices.Contains(harmlessDevices, text) {
			return ""
		}
		if slices.Contains(strings.Split(text, "/"), "..") {
			return "where .. leads to depends on links that are not seen here"
		}
		text = path.Clean(text)
	}
	parts := strings.Split(strings.TrimPrefix(text, "/"), "/")
	if pattern {
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" || p == "." })
		for _, p := range parts {
			if p == ".." || strings.HasPrefix(p, ".") && strings.ContainsAny(p, globChars) {
				return "the pattern can lead out of its directory"
			}
		}
	}
	absolute := strings.HasPrefix(text, "/")
	if len(parts) == 0 || absolute && parts[0] == "" {
		return "everything under / is too much to read"
	}
	if run := slices.Index(parts, "run"); pattern && absolute && (run == 0 || run == 1 && parts[0] == "var") {
		return "the pattern can match a pipe, and reading it takes away what is in it"
	}
	return topDirectory(parts, absolute)
}

func topDirectory(parts []string, absolute bool) string {
	first, last := parts[0], parts[len(parts)-1]
	switch {
	case first == "dev":
		return "reading a device can change what it does"
	case first == "sys":
		return "reading under /sys can change what a device does"
	case first == "proc":
		if !procReadable(parts[1:]) {
			return "not every file under /proc is harmless to read; this one is not known to be"
		}
	case (absolute || len(parts) > 1) && strings.ContainsAny(first, globChars):
		return "the pattern can match a device"
	case strings.Contains(last, "initctl") || strings.HasSuffix(last, ".fifo") || strings.HasSuffix(last, ".pipe"):
		return "reading a pipe takes away what is in it"
	}
	return ""
}

func procReadable(parts []string) bool {
	if len(parts) == 0 {
		return false
	}
	if slices.Contains(procTrees, parts[0]) || len(parts) == 1 {
		return slices.Contains(procTrees, parts[0]) || slices.Contains(procFiles, parts[0])
	}
	process := parts[0]
	if process != "self" && strings.Trim(process, "0123456789[]-*?") != "" {
		return false
	}
	switch {
	case len(parts) == 2:
		return slices.Contains(processFiles, parts[1])
	case len(parts) == 3 && parts[1] == "net":
		return !strings.ContainsAny(parts[2], globChars)
	}
	return false
}
