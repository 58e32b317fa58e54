package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"interlock/replay/binlog"
)

// replication refuses a target that takes part in one: what is replayed into it is not what its source sends,
// and its replicas would not get it.
func (p *preflight) replication(ctx context.Context) ([]error, error) {
	show := []string{"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"} // MySQL 8.0.22, and before
	remedy := "STOP REPLICA; RESET REPLICA ALL"
	if p.server.Flavor == binlog.MariaDB {
		show, remedy = []string{"SHOW ALL SLAVES STATUS"}, "STOP ALL SLAVES; RESET SLAVE 'name' ALL for each"
	}
	var faults []error
	rows, err := p.conn.Query(ctx, show[0])
	const erParse = 1064
	if errorCode(err) == erParse && len(show) > 1 {
		rows, err = p.conn.Query(ctx, show[1])
	}
	if err != nil {
		return nil, fmt.Errorf("ask whether it is a replica: %w", err)
	}
	if len(rows) > 0 {
		faults = append(faults, fmt.Errorf("it is set up as a replica (%s)", remedy))
	}
	if p.server.Flavor == binlog.MySQL {
		members, err := p.conn.Query(ctx, "SELECT 1 FROM performance_schema.replication_group_members WHERE MEMBER_STATE IN ('ONLINE', 'RECOVERING')")
		if absent(err) != nil {
			return faults, fmt.Errorf("ask whether it is in a group: %w", err)
		}
		if len(members) > 0 {
			faults = append(faults, errors.New("it is a member of a replication group (STOP GROUP_REPLICATION)"))
		}
	}
	return faults, nil
}

// clients refuses a target that serves: anybody connected but ourselves and accounts that can do nothing but
// watch. During the run the target is closed to all of them. Connections that are about to go are waited for:
// those of a run of ours that was killed end with the packet of statements that they are in.
func (p *preflight) clients(ctx context.Context) ([]error, error) {
	patience := 2 * time.Second
	if p.state.started {
		patience = 20 * time.Second
	}
	watchers, err := p.watchers(ctx)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; {
		clients, err := p.listClients(ctx, watchers)
		if err != nil {
			return nil, fmt.Errorf("list clients: %w", err)
		}
		if len(clients) == 0 {
			return nil, nil
		}
		if time.Now().After(deadline) {
			return []error{serves(clients)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *preflight) listClients(ctx context.Context, watchers []string) ([]string, error) {
	rows, err := p.conn.Query(ctx, "SELECT ID, USER, HOST, COMMAND FROM information_schema.PROCESSLIST ORDER BY ID")
	if err != nil {
		return nil, err
	}
	var clients []string
	for _, row := range rows {
		id, user, command := row[0].Text, row[1].Text, row[3].Text
		switch {
		case p.server.owns(id), user == "event_scheduler", command == "Daemon", slices.Contains(watchers, user):
		case user == "system user": // threads of the server's own; replication has been asked about
		case strings.HasPrefix(command, "Binlog Dump"):
			clients = append(clients, fmt.Sprintf("a replica, %s from %s", user, row[2].Text))
		default:
			clients = append(clients, fmt.Sprintf("%s from %s (connection %s, %s)", user, row[2].Text, id, command))
		}
	}
	return clients, nil
}

func serves(clients []string) error {
	const shown = 5
	more := ""
	if len(clients) > shown {
		more = fmt.Sprintf(" and %d more", len(clients)-shown)
		clients = clients[:shown]
	}
	return fmt.Errorf("it has clients: %s%s (is it the right server? stop them first)", strings.Join(clients, ", "), more)
}

// owns tells whether a connection is, or was, one of ours: the server lists a closed one for a moment.
func (s *Server) owns(id string) bool {
	n, err := strconv.ParseUint(id, 10, 32)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ours := s.made[uint32(n)]
	return err == nil && ours
}

// watchers are the names under which no account can do more than look at the server itself: monitoring. An
// account whose privileges we may not see, or which has a role, is none.
func (p *preflight) watchers(ctx context.Context) ([]string, error) {
	rows, err := p.conn.Query(ctx, "SELECT GRANTEE, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"+
		" UNION ALL SELECT GRANTEE, IF(TABLE_SCHEMA IN ('performance_schema', 'sys'), 'USAGE', 'more') FROM information_schema.SCHEMA_PRIVILEGES"+
		" UNION ALL SELECT GRANTEE, IF(TABLE_SCHEMA IN ('performance_schema', 'sys'), 'USAGE', 'more') FROM information_schema.TABLE_PRIVILEGES")
	if err != nil {
		return nil, fmt.Errorf("read privileges of other accounts: %w", err)
	}
	roles := "SELECT DISTINCT TO_USER FROM mysql.role_edges"
	if p.server.Flavor == binlog.MariaDB {
		roles = "SELECT DISTINCT User FROM mysql.roles_mapping"
	}
	withRole, err := p.conn.Query(ctx, roles)
	switch code := errorCode(err); {
	case code == erTableDenied:
		return nil, nil // not to be seen: everybody counts as a client
	case absent(err) != nil:
		return nil, fmt.Errorf("read roles: %w", err)
	}
	harmless := map[string]bool{}
	for _, row := range rows {
		name := granteeName(row[0].Text)
		before, known := harmless[name]
		harmless[name] = watches(row[1].Text) && (before || !known)
	}
	for _, row := range withRole {
		harmless[row[0].Text] = false
	}
	var names []string
	for name, ok := range harmless {
		if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// watches tells whether a global privilege shows the server's state and no data.
func watches(privilege string) bool {
	switch privilege {
	case "USAGE", "PROCESS", "REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR", "SHOW DATABASES":
		return true
	}
	return false
}

// granteeName is the name in 'name'@'host'.
func granteeName(grantee string) string {
	if end := strings.LastIndex(grantee, "'@'"); end > 0 {
		return grantee[1:end]
	}
	return grantee
}

// diskSpace refuses a disk that is surely too small, where it is one of this machine: free space below a tenth of
// the log. A log of nothing but inserts needs about its own size, one of updates almost none, so that no bound is
// right for all; this one is for the disk that is full already.
func (p *preflight) diskSpace(ctx context.Context) ([]error, error) {
	if !p.server.opts.local() || p.log == nil {
		return nil, nil
	}
	dir, err := p.conn.text(ctx, "SELECT @@GLOBAL.datadir")
	if err != nil {
		return nil, fmt.Errorf("read datadir: %w", err)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil //nolint:nilerr // a tunnel or a container: the files are not of this machine, or not for us to see
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("ask for free space of %q: %w", dir, err)
	}
	const reserve = 64 << 20 // undo and redo of the first chunks
	free, need := int64(fs.Bavail)*fs.Bsize, p.log.Bytes/10+reserve
	if free < need {
		return []error{fmt.Errorf("%q has %d MiB free, the log is %d MiB (make room for at least %d MiB)", dir, free>>20, p.log.Bytes>>20, need>>20)}, nil
	}
	return nil, nil
}
