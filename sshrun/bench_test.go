package sshrun

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFanOut runs `true` on 200 addresses of one sshd, 64 at a time, from a cold start, and clush and
// parallel-ssh on the same in the same run where they are installed. One sshd does the hosts' work on this
// machine too, so the client's own CPU says more than the wall clock.
func BenchmarkFanOut(b *testing.B) {
	const hosts, parallel = 200, 64
	d, config := benchRig(b)
	var names []string
	for i := range hosts {
		names = append(names, fmt.Sprintf("127.0.%d.%d", 1+i/100, 1+i%100))
	}
	b.Run("interlock", func(b *testing.B) {
		before := cpuTime(b, syscall.RUSAGE_SELF) + cpuTime(b, syscall.RUSAGE_CHILDREN)
		for range b.N {
			c := NewClient(Options{ConfigFile: config})
			var failed atomic.Int32
			Each(b.Context(), parallel, hosts, func(ctx context.Context, i int) {
				conn, err := c.Dial(ctx, Target{Name: names[i]})
				if err != nil {
					failed.Add(1)
					b.Error(err)
					return
				}
				if exit := conn.Run(ctx, "true", nil, nil, nil); !exit.OK() {
					failed.Add(1)
				}
				conn.Close()
			})
			c.Close()
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d hosts failed", n)
			}
		}
		after := cpuTime(b, syscall.RUSAGE_SELF) + cpuTime(b, syscall.RUSAGE_CHILDREN)
		b.ReportMetric((after-before).Seconds()/float64(b.N), "cpu-s/op")
	})
	list := d.path("hosts")
	write(b, list, strings.Join(names, "\n")+"\n")
	options := []string{"-F", config}
	for name, args := range map[string][]string{
		"clush":        {"-q", "-f", strconv.Itoa(parallel), "-o", strings.Join(options, " "), "-w", strings.Join(names, ","), "true"},
		"parallel-ssh": {"-i", "-t", "0", "-p", strconv.Itoa(parallel), "-x", strings.Join(options, " "), "-h", list, "true"},
	} {
		b.Run(name, func(b *testing.B) {
			if _, err := exec.LookPath(name); err != nil {
				b.Skip(err)
			}
			before := cpuTime(b, syscall.RUSAGE_CHILDREN)
			for range b.N {
				if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
			b.ReportMetric((cpuTime(b, syscall.RUSAGE_CHILDREN)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

func benchRig(b *testing.B) (d *sshd, config string) {
	d = startSSHD(b)
	key, known := d.path("id_ed25519"), d.path("known_hosts")
	config = d.path("config")
	keygen(b, "-t", "ed25519", "-N", "", "-f", key)
	write(b, d.path("authorized_keys"), read(b, key+".pub"))
	write(b, known, fmt.Sprintf("[127.0.*]:%d %s", d.port, read(b, d.path("host_ed25519.pub"))))
	write(b, config, fmt.Sprintf("Host *\nPort %d\nUser %s\nIdentityFile %s\nIdentityAgent none\nUserKnownHostsFile %s\nGlobalKnownHostsFile /dev/null\n",
		d.port, me(b), key, known))
	return d, config
}

// cpuTime is user and system time so far.
func cpuTime(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
