package fleet

import (
	"context"
	"sync/atomic"

	"interlock/sshrun"
)

// rollout takes the first host alone, as the canary, then the others: one after the other within a cluster,
// at most parallel lanes side by side. Once more than maxFail hosts were not fine, no further host starts;
// in a cluster one is enough, since its other members now carry what that one did.
// The outcomes are in the order of hosts.
func rollout(ctx context.Context, hosts []string, clustersOf func(string) []string, parallel, maxFail int,
	take func(context.Context, string) outcome) []outcome {
	at := make(map[string]int, len(hosts))
	ends := make([]outcome, len(hosts))
	for i, host := range hosts {
		at[host] = i
		ends[i] = outcome{host: host, kind: notStarted}
	}
	var failed atomic.Int64
	one := func(ctx context.Context, host string) (fine bool) {
		if ctx.Err() != nil || failed.Load() > int64(maxFail) {
			return false
		}
		o := take(ctx, host)
		ends[at[host]] = o
		if !o.fine() {
			failed.Add(1)
		}
		return o.fine()
	}
	if len(hosts) == 0 {
		return nil
	}
	canaryFine := one(ctx, hosts[0])
	all := lanes(hosts, clustersOf)
	sshrun.Each(ctx, parallel, len(all), func(ctx context.Context, i int) {
		lane := all[i]
		if lane[0] == hosts[0] {
			if lane = lane[1:]; !canaryFine {
				return
			}
		}
		for _, host := range lane {
			if !one(ctx, host) {
				return
			}
		}
	})
	return ends
}
