package policy

import (
	"fmt"
	"strings"
	"time"

	"interlock/checks"
)

// Severity is how much a finding matters, in the words of those who are woken by it.
type Severity string

// The severities. Critical means that data or service is at stake now; warning that somebody should look.
const (
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Finding is one thing that is not as it should be: with a host by itself (Health) or with the roles in a
// cluster (Expect). Code is stable (docs/cron.md). Cluster, Host and Subject say what it is about; two findings
// that are alike in these and in the code are the same one, at two times.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Cluster  string   `json:"cluster,omitempty"`
	Host     string   `json:"host,omitempty"`
	Subject  string   `json:"subject,omitempty"` // which of several on the host: a channel, a port, an id
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy,omitempty"`
}

// FindingCodes are all codes that Health and Expect give.
var FindingCodes = []string{
	"unreachable", "state-unknown", "replica-stopped", "replica-lag", "lag-unknown",
	"primary-moved", "primary-missing", "primary-read-only", "two-writable", "replica-missing", "few-replicas",
	"replicates-elsewhere", "source-unseen", "unlisted-member", "member-stopped", "member-clear",
}

// Seen is a host as it was seen.
type Seen struct {
	Host    string
	Address string         // what the inventory connects to; may be empty
	Report  *checks.Report // nil: the host was not reached
	Why     string         // why it was not
}

// unseen tells whether nothing certain is known of the host.
func (m Seen) unseen() bool { return m.Report == nil || blind(m.Report.State) }

// Health is what is wrong with a host, whatever its role: not reached, unknown, replication that does not run
// or lags more than maxLag. A lag that the server does not tell is too much.
func Health(m Seen, maxLag time.Duration) []Finding {
	if m.Report == nil {
		return []Finding{{
			Code: "unreachable", Severity: Critical, Host: m.Host, Text: fmt.Sprintf("%s was not reached: %s", m.Host, m.Why),
			Remedy: "interlock check " + m.Host,
		}}
	}
	var found []Finding
	if blind(m.Report.State) {
		f := Finding{Code: "state-unknown", Severity: Warning, Host: m.Host, Text: m.Host + " is unknown"}
		if len(m.Report.Reasons) > 0 {
			f.Text += ": " + m.Report.Reasons[0].Text
			f.Remedy = m.Report.Reasons[0].Remedy
		}
		found = append(found, f)
	}
	several := len(serversOf(m)) > 1
	for _, s := range serversOf(m) {
		for _, channel := range s.in.Sources {
			if f, bad := channelHealth(channel, maxLag); bad {
				f.Host, f.Subject, f.Text = m.Host, subject(s, channel, several), s.name(several)+f.Text
				found = append(found, f)
			}
		}
	}
	return found
}

// groupChannel tells whether a channel is Group Replication's own: its state is that of the member.
func groupChannel(c checks.Source) bool { return strings.HasPrefix(c.Channel, "group_replication_") }

// channelHealth gives the finding about one channel; its text goes on after the server's name.
func channelHealth(c checks.Source, maxLag time.Duration) (Finding, bool) {
	switch {
	case groupChannel(c):
	case c.IORunning != "Yes" || c.SQLRunning != "Yes":
		f := Finding{Code: "replica-stopped", Severity: Critical,
			Text:   fmt.Sprintf(" does not replicate from %s: io thread %s, sql thread %s", sourceName(c), thread(c.IORunning), thread(c.SQLRunning)),
			Remedy: "mend what the error says, then START REPLICA (MariaDB: START SLAVE)"}
		if c.Error != "" {
			f.Text += ": " + c.Error
		}
		return f, true
	case c.Lag == nil:
		return Finding{Code: "lag-unknown", Severity: Warning, Text: fmt.Sprintf(" does not say how far it is behind %s", sourceName(c)),
			Remedy: "SHOW REPLICA STATUS there; look at Seconds_Behind_Source"}, true
	case *c.Lag > maxLag+c.Delay:
		f := Finding{Code: "replica-lag", Severity: Warning,
			Text:   fmt.Sprintf(" is %s behind %s, more than %s", seconds(*c.Lag), sourceName(c), seconds(maxLag)),
			Remedy: "wait, or see what its sql thread works on"}
		if c.Delay > 0 {
			f.Text += " beyond its delay of " + seconds(c.Delay)
		}
		return f, true
	}
	return Finding{}, false
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int64(d/time.Second)) }

// thread is a thread's state as in a sentence.
func thread(s string) string {
	if s == "" {
		return "unknown"
	}
	return strings.ToLower(s)
}

func sourceName(c checks.Source) string {
	switch {
	case c.Host == "":
		return "its source"
	case c.Port == 0 || c.Port == 3306:
		return c.Host
	}
	return fmt.Sprintf("%s:%d", c.Host, c.Port)
}

// dataServer is a running MySQL or MariaDB on a member.
type dataServer struct {
	member Seen
	in     checks.Instance
}

// serversOf gives the running servers of a host that speak MySQL.
func serversOf(m Seen) (all []dataServer) {
	if m.Report == nil {
		return nil
	}
	for _, in := range m.Report.Instances {
		switch in.Product {
		case "mysql", "mariadb", "percona":
			if in.PID != 0 {
				all = append(all, dataServer{m, in})
			}
		}
	}
	return all
}

// name is the host, and the port where the host has several servers.
func (s dataServer) name(several bool) string {
	if several && s.in.Port != 0 {
		return fmt.Sprintf("%s:%d", s.member.Host, s.in.Port)
	}
	return s.member.Host
}

// subject tells channels of a host apart, and is empty where there is but one.
func subject(s dataServer, c checks.Source, several bool) string {
	var parts []string
	if several {
		parts = append(parts, fmt.Sprint(s.in.Port))
	}
	if c.Channel != "" {
		parts = append(parts, c.Channel)
	}
	return strings.Join(parts, "/")
}
