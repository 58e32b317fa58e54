package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// in gives the clusters of hosts: "db1=users,orders db2=users".
func in(text string) func(string) []string {
	of := map[string][]string{}
	for _, field := range strings.Fields(text) {
		host, clusters, _ := strings.Cut(field, "=")
		of[host] = strings.Split(clusters, ",")
	}
	return func(host string) []string { return of[host] }
}

func TestLanes(t *testing.T) {
	for _, c := range []struct{ hosts, clusters, want string }{
		{"a b c", "", "[[a] [b] [c]]"},
		{"a b c", "a=x c=x", "[[a c] [b]]"},
		{"c b a", "a=x c=x", "[[c a] [b]]"},
		{"a b c d", "a=x b=y c=x d=y", "[[a c] [b d]]"},
		{"a b c", "a=x b=x,y c=y", "[[a b c]]"},
		{"a b c d", "a=x b=y c=z d=x,y,z", "[[a b c d]]"},
		{"a c", "a=x b=x,y c=y", "[[a] [c]]"}, // b, which ties them, is not taken
	} {
		if got := fmt.Sprint(lanes(strings.Fields(c.hosts), in(c.clusters))); got != c.want {
			t.Errorf("lanes of %s with %s: %s, want %s", c.hosts, c.clusters, got, c.want)
		}
	}
}

// shift runs a rollout where a host takes a second, a bad one half of that, and tells when each one started.
func shift(t *testing.T, hosts, clusters string, parallel, maxFail int, bad ...string) (starts map[string]time.Duration, ends []outcome) {
	t.Helper()
	starts = map[string]time.Duration{}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		begin := time.Now()
		ends = rollout(t.Context(), strings.Fields(hosts), in(clusters), parallel, maxFail, func(_ context.Context, host string) outcome {
			mu.Lock()
			starts[host] = time.Since(begin)
			mu.Unlock()
			if slices.Contains(bad, host) {
				time.Sleep(time.Second / 2)
				return outcome{host: host, kind: exited, exit: 1}
			}
			time.Sleep(time.Second)
			return outcome{host: host, kind: exited}
		})
	})
	return starts, ends
}

func seconds(starts map[string]time.Duration) string {
	var out []string
	for host, at := range starts {
		out = append(out, fmt.Sprintf("%s@%v", host, at.Seconds()))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestRollout(t *testing.T) {
	for _, c := range []struct {
		name, hosts, clusters string
		parallel, maxFail     int
		bad                   []string
		want                  string
	}{
		{"the first host goes alone, the rest together", "a b c", "", 64, 0, nil, "a@0 b@1 c@1"},
		{"a cluster one by one", "a b c d", "a=x b=x c=x", 64, 0, nil, "a@0 b@1 c@2 d@1"},
		{"two clusters side by side", "a1 a2 b1 b2 b3", "a1=a a2=a b1=b b2=b b3=b", 64, 0, nil, "a1@0 a2@1 b1@1 b2@2 b3@3"},
		{"no more at once than asked for", "a b c d e", "", 2, 0, nil, "a@0 b@1 c@1 d@2 e@2"},
		{"a bad canary stops all", "a b c", "", 64, 0, []string{"a"}, "a@0"},
		{"a bad host stops what has not started", "a b c d", "", 1, 0, []string{"b"}, "a@0 b@1"},
		{"what runs already runs on", "a b c d", "d=x c=x", 64, 0, []string{"b"}, "a@0 b@1 c@1"},
		{"as many bad ones as allowed", "a b c d", "", 1, 1, []string{"b"}, "a@0 b@1 c@1.5 d@2.5"},
		{"one more than allowed", "a b c d", "", 1, 1, []string{"b", "c"}, "a@0 b@1 c@1.5"},
		{"in its own cluster one bad host is enough", "z a1 a2 b1 b2", "a1=a a2=a b1=b b2=b", 64, 9, []string{"a1"}, "a1@1 b1@1 b2@2 z@0"},
		{"the canary's cluster too", "a1 a2 b1", "a1=a a2=a", 64, 9, []string{"a1"}, "a1@0 b1@0.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			starts, ends := shift(t, c.hosts, c.clusters, c.parallel, c.maxFail, c.bad...)
			if got := seconds(starts); got != c.want {
				t.Errorf("started %s, want %s", got, c.want)
			}
			for i, host := range strings.Fields(c.hosts) {
				if ends[i].host != host {
					t.Fatalf("outcome %d is of %q, want %q", i, ends[i].host, host)
				}
				if _, ok := starts[host]; ok == (ends[i].kind == notStarted) {
					t.Errorf("%s: started is %v, and its outcome %q", host, ok, ends[i].kind)
				}
			}
		})
	}
}
