package checks

import "time"

// Mode is what a session asks of a host.
type Mode string

// The modes of check.sh.
const (
	ModeCheck  Mode = "check"  // inspect and report, nothing else
	ModeRun    Mode = "run"    // inspect, decide, lock, report, wait for go, run the command
	ModeLock   Mode = "lock"   // inspect, decide, lock, report, and leave the lock: for a command that runs elsewhere
	ModeLease  Mode = "lease"  // take, renew or (Lease 0) release the lease of Run; nothing is inspected
	ModeSignal Mode = "signal" // signal the process group of the running command (Request.LockID)
	ModeLogs   Mode = "logs"   // list spooled outputs, or print that of Request.LockID
	ModeLocks  Mode = "locks"  // list locks and leases, or break (Release: release) Request.LockID
)

// The length of leases: what design.md gives them, and the most that a request may ask for.
const (
	LeaseTime = 60 * time.Second
	MaxLease  = 10 * time.Minute
)

// Critical is a process that refuses like a primary where it is seen: a database that is not MySQL.
type Critical struct {
	Name    string // for people: "postgres"
	Process string // base name of argv[0] or of the executable
	Port    int    // TCP port it listens on; 0: none
}

// Request is what one SSH session asks of one host. The zero value of a field means "not given".
type Request struct {
	Nonce        string // 32 hex digits, from NewNonce; frames the report and the go
	Mode         Mode
	Host         string // the host's name as the user wrote it, for locks and logs
	Class        Class
	Command      string // handed to Shell -c as it stands; no NUL, at most MaxCommandBytes
	Shell        string // "/bin/sh" unless --shell says otherwise; absolute path or a plain name
	Owner        string // who asks: user@client, for locks and syslog
	Run          string // one call of interlock: hexadecimal digits; what the same run holds is no obstacle for it
	Allow        []string
	Member       bool // hosts.toml calls the host a member of a cluster
	Boots        bool // the command boots the host: what the next boot does counts
	OnUnknown    bool // a routine command that may run where the check cannot see
	TTY          bool // the session has a terminal: output is not spooled, and echo comes on after the go
	DefaultsFile string
	Critical     []Critical
	DataPaths    []string
	Clients      []string // monitoring accounts
	IdleAfter    time.Duration
	Timeout      time.Duration // bound of the whole check, on the host; 0: 15 s
	LockID       string        // ModeSignal, ModeLogs, ModeLocks
	Release      bool          // ModeLocks: the lock is the asker's own (Run), and no longer needed
	Offer        bool          // ask for an override of a refusal (Report.OverrideID); a check then says its Command too
	Override     string        // ModeRun, ModeLock: the host's part of an override
	Reason       string        // why: of an override or a broken lock, for the host's log
	// Lease asks a check for a lease of so long, in whole seconds, taken or renewed before anything is looked at, so
	// that the facts are gathered under it. Report.LeaseID tells whether it was given. It counts from when the host
	// took it: a client that counts from when it asked is on the safe side. At most MaxLease; needs Run.
	Lease  time.Duration
	Signal string // ModeSignal: INT, TERM
}
