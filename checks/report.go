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

// Kinds of Group.
const (
	GroupReplication = "group-replication"
	Galera           = "galera"
)

// Group is a group of Group Replication or a Galera cluster, as this member sees it.
type Group struct {
	Kind          string        `json:"kind"`
	Name          string        `json:"name,omitempty"`           // group_replication_group_name; wsrep_cluster_name
	UUID          string        `json:"uuid,omitempty"`           // Galera: wsrep_cluster_state_uuid
	Size          int           `json:"size"`                     // members, this one too; Galera: 0 where it is cut off
	Status        string        `json:"status,omitempty"`         // Galera: Primary, non-Primary, Disconnected
	State         string        `json:"state,omitempty"`          // own: ONLINE, RECOVERING …; Synced, Donor/Desynced …
	Role          string        `json:"role,omitempty"`           // own: PRIMARY or SECONDARY; Galera: none
	SinglePrimary bool          `json:"single_primary,omitempty"` // group_replication_single_primary_mode
	Members       []GroupMember `json:"members,omitempty"`        // Galera: those whose address is known; may be fewer than Size
}

// GroupMember is one member of a group. Of a Galera member only the address is known.
type GroupMember struct {
	UUID  string `json:"uuid,omitempty"` // server_uuid
	Host  string `json:"host,omitempty"` // as the member reports it, which need not be reachable
	Port  int    `json:"port,omitempty"`
	State string `json:"state,omitempty"` // ONLINE, RECOVERING, UNREACHABLE, ERROR
	Role  string `json:"role,omitempty"`  // PRIMARY, SECONDARY
}

// Instance is one server on a host, or one data directory without a server (State stopped, PID 0).
type Instance struct {
	State       State        `json:"state"`
	PID         int          `json:"pid,omitempty"`
	Product     string       `json:"product,omitempty"` // mysql, mariadb, percona; a proxy's or critical process's name
	Version     string       `json:"version,omitempty"` // 9.7.4, 10.11.19
	Port        int          `json:"port,omitempty"`
	Socket      string       `json:"socket,omitempty"`
	DataDir     string       `json:"datadir,omitempty"`
	UUID        string       `json:"uuid,omitempty"`
	ServerID    string       `json:"server_id,omitempty"`
	ReadOnly    string       `json:"read_only,omitempty"` // off, on, super
	OfflineMode bool         `json:"offline_mode,omitempty"`
	Sources     []Source     `json:"sources,omitempty"`
	Replicas    []ReplicaRef `json:"replicas,omitempty"`
	Dumps       []string     `json:"dumps,omitempty"` // where connected replicas come from: "10.0.0.7:51234", or a host's name

	// GTID sets come whole up to 128 KiB; a longer one ends in ",cut", which is no GTID: whatever reads sets fails on it,
	// so that a set that was cut never counts as contained. MySQL has GTIDExecuted alone. On MariaDB it is
	// gtid_current_pos: for each domain the last GTID that was applied or written here. Within a domain a server holds
	// what another one holds if its sequence number is at least as high, provided that the domain was written in one
	// place at a time. GTIDBinlogState tells whether it was: it has the last sequence number of each server that wrote to
	// a domain, so what a replica wrote by itself stands there under its own server_id.
	GTIDExecuted    string `json:"gtid_executed,omitempty"`
	GTIDBinlogPos   string `json:"gtid_binlog_pos,omitempty"`   // MariaDB: the last GTID of each domain in the binary log
	GTIDSlavePos    string `json:"gtid_slave_pos,omitempty"`    // MariaDB: the last GTID of each domain that was replicated
	GTIDBinlogState string `json:"gtid_binlog_state,omitempty"` // MariaDB: the last GTID of each domain and server in the binary log

	GroupMember   string         `json:"group_member,omitempty"` // Group Replication or Galera member state; "": no member
	Group         *Group         `json:"group,omitempty"`        // nil: no member
	Clients       *int           `json:"clients,omitempty"`      // connections but ours, monitoring, replication; nil: not known
	Monitoring    int            `json:"monitoring,omitempty"`
	WritesPerSec  *float64       `json:"writes_per_second,omitempty"`
	WritesOver    time.Duration  `json:"writes_over,omitempty"` // the stretch of time that WritesPerSec is over
	Uptime        *time.Duration `json:"uptime,omitempty"`
	DataBytes     *int64         `json:"data_bytes,omitempty"`
	Busy          []string       `json:"busy,omitempty"`
	StateEvidence string         `json:"evidence,omitempty"` // what proves idle
}

// Held is a lock or a lease that is in force on a host.
type Held struct {
	Kind  string        `json:"kind"` // lock or lease
	ID    string        `json:"id"`
	Owner string        `json:"owner,omitempty"`
	Class string        `json:"class,omitempty"` // of a lock
	Run   string        `json:"run,omitempty"`   // the call of interlock that holds it
	Since string        `json:"since,omitempty"` // RFC 3339, by the host's clock: for people
	For   string        `json:"for,omitempty"`   // of a lock: "run", or "local" for a command that runs elsewhere
	Left  time.Duration `json:"left,omitempty"`  // of a lease
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
	// OverrideID turns the host's no into a yes, once, within ten minutes, while nothing has changed; "": none was asked for,
	// or none can be given. The fact "override" names the one that was used.
	OverrideID string `json:"override,omitempty"`
	// LeaseID is the lease that was asked for; "": not given. A renewed lease keeps its id: another one means that
	// there was a time between the two.
	LeaseID string `json:"lease,omitempty"`
	Held    []Held `json:"held,omitempty"` // what was in force when the host looked, the asker's own lease among it
}

// Run tells whether the host itself said yes.
func (r *Report) Run() bool { return r.Verdict == "run" }
