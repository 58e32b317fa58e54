package fleet

import (
	"fmt"
	"strings"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// gauges are the metrics of one check. A host that was not reached has reachable 0 and no state; what a server
// did not tell has no series.
func (c *Check) gauges(r *checked) []*report.Gauge {
	all := []*report.Gauge{
		{Name: "interlock_check_timestamp_seconds", Help: "When the check began, in seconds since 1970."},
		{Name: "interlock_check_duration_seconds", Help: "How long it took to ask all hosts."},
		{Name: "interlock_check_hosts", Help: "Hosts that were asked."},
		{Name: "interlock_check_expect", Help: "1 where roles were compared with hosts.toml."},
		{Name: "interlock_findings", Help: "Things that are not as they should be, by severity."},
		{Name: "interlock_finding", Help: "1 for each thing that is not as it should be."},
	}
	all[0].Add(float64(r.at.UnixMilli()) / 1000)
	all[1].Add(r.took.Seconds())
	all[2].Add(float64(len(r.hosts)))
	all[3].Add(float64(boolInt(c.o.Expect)))
	counts := map[policy.Severity]int{}
	for _, f := range r.found() {
		counts[f.Severity]++
		all[5].Add(1, "cluster", f.Cluster, "host", f.Host, "code", f.Code, "severity", string(f.Severity), "subject", f.Subject)
	}
	for _, s := range []policy.Severity{policy.Critical, policy.Warning} {
		all[4].Add(float64(counts[s]), "severity", string(s))
	}
	return append(all, c.hostGauges(r.hosts)...)
}

// instanceGauges are the metrics that every server has.
type instanceGauges struct {
	info, readOnly, clients, writes, uptime, data, replicas, lag, running *report.Gauge
}

func (c *Check) hostGauges(all []finding) []*report.Gauge {
	reachable := &report.Gauge{Name: "interlock_host_reachable", Help: "1 where the host answered."}
	state := &report.Gauge{Name: "interlock_host_state", Help: "1 for the state that the host is in, 0 for the others."}
	g := instanceGauges{
		info:     &report.Gauge{Name: "interlock_server_info", Help: "1 for each server."},
		readOnly: &report.Gauge{Name: "interlock_server_read_only", Help: "1 where the server is read-only."},
		clients:  &report.Gauge{Name: "interlock_server_clients", Help: "Connections but those of monitoring and replication."},
		writes:   &report.Gauge{Name: "interlock_server_writes_per_second", Help: "Writes in a second, since an earlier check."},
		uptime:   &report.Gauge{Name: "interlock_server_uptime_seconds", Help: "How long the server has been up."},
		data:     &report.Gauge{Name: "interlock_server_data_bytes", Help: "Size of the data directory."},
		replicas: &report.Gauge{Name: "interlock_server_replicas", Help: "Replicas that the server knows."},
		lag:      &report.Gauge{Name: "interlock_replication_lag_seconds", Help: "How far a replica is behind its source."},
		running:  &report.Gauge{Name: "interlock_replication_running", Help: "1 where a thread of replication runs."},
	}
	for _, f := range all {
		host := []string{"host", f.host, "cluster", strings.Join(c.site.inv.ClusterOf(f.host), ",")}
		reachable.Add(float64(boolInt(f.err == nil)), host...)
		if f.err != nil {
			continue
		}
		for _, s := range allStates {
			state.Add(float64(boolInt(stateOf(f) == s)), append(host[:4:4], "state", string(s))...)
		}
		for _, in := range f.report.Instances {
			g.add(host, in)
		}
	}
	return []*report.Gauge{reachable, state, g.info, g.readOnly, g.clients, g.writes, g.uptime, g.data, g.replicas, g.lag, g.running}
}

func (g *instanceGauges) add(host []string, in checks.Instance) {
	labels := append(host[:4:4], "server", serverKey(in))
	with := func(more ...string) []string { return append(labels[:6:6], more...) }
	g.info.Add(1, with("state", string(in.State), "product", in.Product, "version", in.Version, "uuid", in.UUID)...)
	if in.ReadOnly != "" {
		g.readOnly.Add(float64(boolInt(in.ReadOnly != "off")), labels...)
		g.replicas.Add(float64(len(in.Replicas)), labels...)
	}
	if in.Clients != nil {
		g.clients.Add(float64(*in.Clients), labels...)
	}
	if in.WritesPerSec != nil {
		g.writes.Add(*in.WritesPerSec, labels...)
	}
	if in.Uptime != nil {
		g.uptime.Add(in.Uptime.Seconds(), labels...)
	}
	if in.DataBytes != nil {
		g.data.Add(float64(*in.DataBytes), labels...)
	}
	for _, s := range in.Sources {
		if s.Lag != nil {
			g.lag.Add(s.Lag.Seconds(), with("channel", s.Channel)...)
		}
		g.running.Add(float64(boolInt(s.IORunning == "Yes")), with("channel", s.Channel, "thread", "io")...)
		g.running.Add(float64(boolInt(s.SQLRunning == "Yes")), with("channel", s.Channel, "thread", "sql")...)
	}
}

// serverKey tells servers of a host apart, over time: the port, or the data directory where there is none.
func serverKey(in checks.Instance) string {
	switch {
	case in.Port != 0:
		return fmt.Sprint(in.Port)
	case in.DataDir != "":
		return in.DataDir
	}
	return in.Product
}
