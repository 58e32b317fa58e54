package checks

import "time"

// Reason is one fact that made a state or a verdict what it is. Code is stable (docs/checks.md); Text names
// what was seen; Remedy is what would mend it, and may be empty.
type Reason struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Source is one channel on which an instance receives from a source.
type Source struct {
	Channel     string         `json:"channel,omitempty"`
	Host        string         `json:"host"`
	Port        int            `json:"port"`
	UUID        string         `json:"uuid,omitempty"` // MySQL: source's server_uuid
	ServerID    string         `json:"server_id,omitempty"`
	IORunning   string         `json:"io_running"`  // the server's word: Yes, No, Connecting
	SQLRunning  string         `json:"sql_running"` // the server's word
	Lag         *time.Duration `json:"lag,omitempty"`
	Delay       time.Duration  `json:"delay,omitempty"`
	Error       string         `json:"error,omitempty"`
	AutoPos     bool           `json:"auto_position,omitempty"`
	GTIDDetails string         `json:"retrieved_gtid_set,omitempty"`
}

// ReplicaRef is a replica that an instance knows: registered, or seen in its process list.
type ReplicaRef struct {
	ServerID string `json:"server_id,omitempty"`
	UUID     string `json:"uuid,omitempty"`
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
}

// Instance is one server on a host, or one data directory without a server (State stopped, PID 0).
type Instance struct {
	State         State          `json:"state"`
	PID           int            `json:"pid,omitempty"`
	Product       string         `json:"product,omitempty"` // mysql, mariadb, percona; a proxy's or critical process's name
	Version       string         `json:"version,omitempty"` // 9.7.4, 10.11.19
	Port          int            `json:"port,omitempty"`
	Socket        string         `json:"socket,omitempty"`
	DataDir       string         `json:"datadir,omitempty"`
	UUID          string         `json:"uuid,omitempty"`
	ServerID      string         `json:"server_id,omitempty"`
	ReadOnly      string         `json:"read_only,omitempty"` // off, on, super
	OfflineMode   bool           `json:"offline_mode,omitempty"`
	Sources       []Source       `json:"sources,omitempty"`
	Replicas      []ReplicaRef   `json:"replicas,omitempty"`
	GTIDExecuted  string         `json:"gtid_executed,omitempty"`
	GroupMember   string         `json:"group_member,omitempty"` // Group Replication or Galera member state
	Clients       *int           `json:"clients,omitempty"`      // connections but ours, monitoring, replication; nil: not known
	Monitoring    int            `json:"monitoring,omitempty"`
	WritesPerSec  *float64       `json:"writes_per_second,omitempty"`
	WritesOver    time.Duration  `json:"writes_over,omitempty"` // the stretch of time that WritesPerSec is over
	Uptime        *time.Duration `json:"uptime,omitempty"`
	DataBytes     *int64         `json:"data_bytes,omitempty"`
	Busy          []string       `json:"busy,omitempty"`
	StateEvidence string         `json:"evidence,omitempty"` // what proves idle
}

// Report is what a host said of itself, whole: ReadReport gives nothing less.
type Report struct {
	Nonce     string            `json:"-"`
	State     State             `json:"state"` // the worst of the instances
	Verdict   string            `json:"verdict,omitempty"`
	Reasons   []Reason          `json:"reasons,omitempty"`
	Instances []Instance        `json:"instances,omitempty"`
	Facts     map[string]string `json:"facts,omitempty"`  // host facts: boot_id, machine_id, hostname, user, serving, busy …
	Looked    map[string]int    `json:"looked,omitempty"` // processes, descriptors, namespaces, mounts, listeners: how many were looked at
	LockID    string            `json:"lock,omitempty"`   // the lock taken for the command; also the spool's name
}

// Run tells whether the host itself said yes.
func (r *Report) Run() bool { return r.Verdict == "run" }
