package testrig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const defaultPort = 3306

// ServerSpec says which server to run and how. The zero value of everything but Product is the usual way.
type ServerSpec struct {
	Product  Product
	Port     int      // 0: 3306, in /var/lib/mysql; another one lives in /var/lib/mysql-PORT
	Settings []string // more lines for [mysqld]

	OwnName        bool   // run the executable itself: MySQL is otherwise run through ld.so, which gives it the loader's name
	ProcessName    string // run a copy of the executable of this name
	SkipNetworking bool   // socket only
	OwnNetwork     bool   // in a network namespace of its own: no address but its own loopback
	PrivateMount   bool   // its data directory is a mount that only it sees; it cannot be started a second time
	NoClient       bool   // take the client programs off the host
	KeepData       bool   // start on the data directory that is there instead of a fresh copy
}

// Server is a database server on a host. Its methods may be called from several goroutines at once.
type Server struct {
	Host     *Host
	Port     int
	ServerID uint32
	DataDir  string // on the host
	Socket   string // on the host

	spec         ServerSpec
	defaultsFile string
	pidFile      string
	logFile      string
}

// StartServer copies a fresh data directory to the host, starts a server on it and waits until it answers.
func (h *Host) StartServer(ctx context.Context, spec ServerSpec) (*Server, error) {
	if spec.Port == 0 {
		spec.Port = defaultPort
	}
	more := suffix(spec.Port)
	s := &Server{
		Host: h, Port: spec.Port, spec: spec,
		ServerID:     uint32(h.rig.number<<20 | h.number<<12 | spec.Port&0xfff),
		DataDir:      "/var/lib/mysql" + more,
		Socket:       "/run/mysqld/mysqld" + more + ".sock",
		pidFile:      "/run/mysqld/mysqld" + more + ".pid",
		logFile:      "/var/log/mysql/error" + more + ".log",
		defaultsFile: "/etc/mysql/my" + more + ".cnf",
	}
	if !spec.KeepData {
		template, err := h.rig.cache.dataDir(ctx, spec.Product)
		if err != nil {
			return nil, err
		}
		if err := s.copyData(ctx, template); err != nil {
			return nil, err
		}
	}
	if _, err := h.Exec(ctx, "mkdir -p /etc/mysql"); err != nil {
		return nil, err
	}
	if err := h.WriteFile(s.defaultsFile, defaultsFile(s), 0o644); err != nil {
		return nil, err
	}
	if spec.NoClient {
		if _, err := h.Exec(ctx, "rm -f "+strings.Join(spec.Product.clientPaths(), " ")); err != nil {
			return nil, err
		}
	}
	return s, s.Start(ctx)
}

// seed is where the data of a server with a private mount waits until that mount is there.
func (s *Server) seed() string { return s.DataDir + ".seed" }

func (s *Server) copyData(ctx context.Context, template string) error {
	to := s.DataDir
	if s.spec.PrivateMount {
		to = s.seed()
	}
	// The logs of a fresh InnoDB are mostly zeroes, which a sparse copy on tmpfs does not pay for. tar unpacks
	// inside the host, so that no link of the host's can lead the copy elsewhere.
	unpack, err := s.Host.Command(ctx, "/bin/sh", "-c", fmt.Sprintf("rm -rf %[1]s && mkdir -p %[1]s && exec tar --numeric-owner -C %[1]s -xpf -", to))
	if err != nil {
		return err
	}
	pack := exec.CommandContext(ctx, "tar", "--sparse", "--numeric-owner", "-C", template, "-cf", "-", ".")
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		return err
	}
	if err := pack.Start(); err != nil {
		return fmt.Errorf("copy data of %s: %w", s, err)
	}
	out, err := unpack.CombinedOutput()
	if err := errors.Join(err, pack.Wait()); err != nil {
		return fmt.Errorf("copy data of %s: %w: %s", s, err, tail(out))
	}
	return nil
}

// launch is the shell script that starts the server in the background of the host.
func (s *Server) launch() string {
	program, wrapper := s.spec.Product.program()
	prepare := "mkdir -p /var/log/mysql\ninstall -d -o mysql -g mysql /run/mysqld /var/log/mysql\ncd /\n"
	start := wrapper
	if s.spec.OwnName {
		start = program
	}
	if name := s.spec.ProcessName; name != "" {
		start = path.Join("/usr/local/sbin", name)
		prepare += fmt.Sprintf("cp -f %s %s\n", program, start)
	}
	if start != wrapper && s.spec.Product == MySQL {
		start = "env LD_LIBRARY_PATH=/opt/mysql/libs " + start // for it alone: the host's programs have an older libc
	}
	script := fmt.Sprintf("exec %s --defaults-file=%s", start, s.defaultsFile)
	if s.spec.PrivateMount {
		script = fmt.Sprintf("mkdir -p %[1]s && mount -t tmpfs tmpfs %[1]s && cp -a %[2]s/. %[1]s && chown mysql:mysql %[1]s && rm -rf %[2]s && %[3]s",
			s.DataDir, s.seed(), script)
	}
	unshare := ""
	if s.spec.OwnNetwork {
		unshare += " --net"
		script = "ip link set lo up && " + script
	}
	if s.spec.PrivateMount {
		unshare += " --mount"
	}
	if unshare != "" {
		unshare = "unshare" + unshare
	}
	return fmt.Sprintf("%sexec setsid --fork %s /bin/sh -c '%s' </dev/null >>/var/log/mysql/start.log 2>&1", prepare, unshare, script)
}

// appearsWithin is how long a started server may take to become a process of its name on a loaded machine.
const appearsWithin = 5 * time.Second

// endsWithin is for how long a server must be missing that was there, to have ended.
const endsWithin = 2 * time.Second

// Start starts a server that does not run, on the data directory that it has, and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	if _, err := s.Host.Exec(ctx, s.launch()); err != nil {
		return fmt.Errorf("start %s: %w", s, err)
	}
	// A start takes one or two seconds; the bound is for a machine whose two cores run dozens of them.
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	// The shell that becomes the server may not have done so yet, and while one program takes the place of another
	// its arguments cannot be read: not to be there counts as an end only when it has lasted.
	missing := time.Now().Add(appearsWithin)
	for {
		err := s.knock(ctx)
		if err == nil {
			_, err = s.Query(ctx, "SELECT 1")
		}
		if err == nil {
			return nil
		}
		if pid, findErr := s.pid(); findErr != nil {
			return fmt.Errorf("start %s: %w", s, findErr)
		} else if pid != 0 {
			missing = time.Now().Add(endsWithin)
		} else if time.Now().After(missing) {
			return fmt.Errorf("start %s: it ended: %s", s, s.lastWords(ctx))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w: %w: %s", s, ctx.Err(), err, s.lastWords(context.WithoutCancel(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// String names a server in errors: mysql on db1:3306.
func (s *Server) String() string {
	return fmt.Sprintf("%s on %s:%d", s.spec.Product, s.Host.Name, s.Port)
}

// Addr is where the server listens, unless its networking is off or elsewhere.
func (s *Server) Addr() netip.AddrPort { return netip.AddrPortFrom(s.Host.Addr, uint16(s.Port)) }

// lastWords is the end of the server's logs, for an error.
func (s *Server) lastWords(ctx context.Context) string {
	out, err := s.Host.Exec(ctx, "for f in /var/log/mysql/start.log "+s.logFile+"; do tail -n 15 $f; done")
	if err != nil {
		out += err.Error()
	}
	return tail([]byte(out))
}

// pid is the server's process on the machine, 0 if it does not run. It is known by its option file, which
// is one of its arguments whatever name it runs under.
func (s *Server) pid() (int, error) {
	pids, err := s.Host.pids()
	if err != nil {
		return 0, err
	}
	found := 0
	for _, pid := range pids {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(cmdline), "--defaults-file="+s.defaultsFile) {
			found = pid // the last one: a starting shell comes before what it starts
		}
	}
	return found, nil
}

// Stop shuts the server down as its unit would, and waits until it has gone.
func (s *Server) Stop(ctx context.Context) error { return s.end(ctx, unix.SIGTERM) }

// Kill kills the server as the kernel would when memory runs out.
func (s *Server) Kill(ctx context.Context) error { return s.end(ctx, unix.SIGKILL) }

// Pause stops the server without ending it: it keeps its sockets and answers nobody. Resume lets it go on.
func (s *Server) Pause() error { return s.signal(unix.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() error { return s.signal(unix.SIGCONT) }

func (s *Server) signal(signal unix.Signal) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("signal %s: it does not run", s)
	}
	if err := unix.Kill(pid, signal); err != nil {
		return fmt.Errorf("signal %s: %w", s, err)
	}
	return nil
}

func (s *Server) end(ctx context.Context, signal unix.Signal) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("stop %s: it does not run", s)
	}
	proc, err := findProcess(pid)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stop %s: %w", s, err)
	}
	return waitGone(ctx, proc)
}

// Running tells whether the server's process is there, answering or not.
func (s *Server) Running() bool {
	pid, err := s.pid()
	return err == nil && pid != 0
}
