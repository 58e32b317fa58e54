package testrig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// LocalSpec says which server to run on this machine itself and how.
type LocalSpec struct {
	Product  Product
	Settings []string // more options without their dashes, as in an option file: binlog-format=MIXED
	From     string   // a data directory that Snapshot made; empty: a fresh one
	TempDir  string   // where the data goes; empty: memory (/dev/shm) where there is room, else os.TempDir
	Loopback bool     // listen on 127.0.0.1 too, on a free port; root@localhost is let in there
}

// Local is a database server that is a plain process of this machine: no namespaces, a socket of its own,
// root without a password, a binary log, GTIDs on MySQL. Its methods belong to one goroutine, but Query,
// Connect and Exec may be called from several at once.
type Local struct {
	Product Product
	Socket  string
	DataDir string
	Port    int // 0: socket only
	Pid     int // of the running server, 0 when it does not run

	tools Tools
	spec  LocalSpec
	more  []string // settings of the next start
	dir   string
	lock  func()
	ended chan struct{} // closed when the process that runs now has ended
}

// localPrefix begins the names of the folders of local servers; each holds a file "lock" that its owner has
// locked as long as it lives.
const localPrefix = "interlock-local-"

// StartLocal makes a data directory and starts a server on it. Nothing of it outlives Close, and what a killed
// owner leaves behind is killed by the kernel (the process) and removed by the next StartLocal (the data).
func StartLocal(ctx context.Context, spec LocalSpec) (*Local, error) {
	c, err := newCache(os.Stderr)
	if err != nil {
		return nil, err
	}
	tools, err := c.tools(ctx, spec.Product)
	if err != nil {
		return nil, err
	}
	from := spec.From
	if from == "" {
		if from, err = c.localData(ctx, spec.Product); err != nil {
			return nil, err
		}
	}
	l := &Local{Product: spec.Product, spec: spec, tools: tools}
	if err := l.makeDir(ctx, from); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.Start(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// LocalFor starts a local server for a test and closes it at the test's end. Where none can be made the test
// is skipped, and failed if INTERLOCK_REQUIRE_SERVERS is 1.
func LocalFor(tb testing.TB, spec LocalSpec) *Local {
	tb.Helper()
	l, err := StartLocal(context.Background(), spec)
	if err != nil {
		if os.Getenv("INTERLOCK_REQUIRE_SERVERS") == "1" {
			tb.Fatalf("testrig: %v", err)
		}
		tb.Skipf("SKIPPED, NOTHING IS PROVEN: no %s here (INTERLOCK_REQUIRE_SERVERS=1 makes this a failure): %v", spec.Product, err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Errorf("testrig: %v", err)
		}
	})
	return l
}

// localRoot is where data directories go by default: memory, if 2 GB of it are free.
func localRoot() string {
	const shm, room = "/dev/shm", 2 << 30
	var st unix.Statfs_t
	if unix.Statfs(shm, &st) == nil && st.Bavail*uint64(st.Bsize) > room && unix.Access(shm, unix.W_OK) == nil {
		return shm
	}
	return os.TempDir()
}

// makeDir makes the server's folder: lock, data, socket.
func (l *Local) makeDir(ctx context.Context, from string) error {
	root := l.spec.TempDir
	if root == "" {
		root = localRoot()
	}
	// Held until our own lock is, or another server's sweep could take our folder for a left-over.
	unlock, err := lockFile(ctx, filepath.Join(root, localPrefix+"sweep"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweepLocal(root); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(root, localPrefix)
	if err != nil {
		return fmt.Errorf("make local server: %w", err)
	}
	l.dir, l.DataDir, l.Socket = dir, filepath.Join(dir, "data"), filepath.Join(dir, "s")
	if l.lock, err = lockFile(ctx, filepath.Join(dir, "lock")); err != nil {
		return err
	}
	const longest = 107 // sun_path of unix(7), less the NUL
	if len(l.Socket) > longest {
		return fmt.Errorf("make local server: socket %q is longer than %d bytes: use a shorter TempDir", l.Socket, longest)
	}
	if l.spec.Loopback {
		if l.Port, err = freePort(ctx); err != nil {
			return err
		}
	}
	if err := copyData(ctx, from, l.DataDir); err != nil {
		return err
	}
	// The server's own UUID: two servers with one are taken for the same.
	if err := os.Remove(filepath.Join(l.DataDir, "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sweepLocal removes the folders of owners that are gone. What has no lock in it is not ours.
func sweepLocal(root string) error {
	dirs, err := filepath.Glob(filepath.Join(root, localPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		f, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			err = os.RemoveAll(dir)
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("remove left-over %s: %w", dir, err)
		}
	}
	return nil
}

func copyData(ctx context.Context, from, to string) error {
	return run(ctx, "cp", "-a", "--sparse=always", from, to)
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	defer listener.Close()
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find free port: %v is no TCP address", listener.Addr())
	}
	return addr.Port, nil
}

// options are the server's arguments: small and quick to start; crash recovery works as it does in production.
func (l *Local) options() []string {
	options := []string{
		"datadir=" + l.DataDir, "socket=" + l.Socket, "pid-file=" + filepath.Join(l.dir, "pid"), "log-error=" + l.logFile(),
		"tmpdir=" + l.dir, "server-id=" + strconv.Itoa(1+os.Getpid()%1000000), "log-bin=binlog", "binlog-format=ROW", "sync-binlog=0",
		"innodb-buffer-pool-size=64M", "innodb-flush-log-at-trx-commit=2", "innodb-use-native-aio=0",
		"max-allowed-packet=64M", "local-infile=ON", "secure-file-priv=",
	}
	if l.Port == 0 {
		options = append(options, "skip-networking")
	} else {
		options = append(options, "bind-address=127.0.0.1", "port="+strconv.Itoa(l.Port))
	}
	if l.Product == MySQL {
		options = append(options, "innodb-redo-log-capacity=32M", "mysqlx=OFF", "gtid-mode=ON", "enforce-gtid-consistency=ON",
			"performance-schema-instrument=%=OFF")
	} else {
		options = append(options, "innodb-log-file-size=32M", "log-slave-updates", "innodb-flush-method=fsync")
	}
	return append(append(options, l.spec.Settings...), l.more...)
}

func (l *Local) logFile() string { return filepath.Join(l.dir, "error.log") }

// Start starts a server that does not run on the data that it has, and waits until it answers.
func (l *Local) Start(ctx context.Context) error {
	if l.Running() {
		return fmt.Errorf("start %s: it runs already", l)
	}
	if err := l.launch(); err != nil {
		return fmt.Errorf("start %s: %w", l, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second) // as for Server.Start: a loaded machine
	defer cancel()
	for {
		_, err := l.Query(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-l.ended:
			l.Pid = 0
			return fmt.Errorf("start %s: it ended: %s", l, l.LastWords())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start %s: %w: %w: %s", l, ctx.Err(), err, l.LastWords()), l.end(unix.SIGKILL))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Configure changes the settings that the next Start uses: they come after those of the spec.
func (l *Local) Configure(settings ...string) { l.more = settings }

// launch starts the process. Its parent is one thread that lives as long as it does, since the kernel sends
// the signal of Pdeathsig when that thread ends (prctl(2), PR_SET_PDEATHSIG).
func (l *Local) launch() error {
	argv := append(l.tools.command("mysqld"), l.tools.serverPlaces()...)
	if os.Getuid() == 0 {
		argv = append(argv, "--user=root")
	}
	for _, option := range l.options() {
		argv = append(argv, "--"+option)
	}
	output, err := os.OpenFile(filepath.Join(l.dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // it lives until Stop, Kill or Close
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer output.Close()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log; Start and end look for that it did
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	l.Pid, l.ended = cmd.Process.Pid, ended
	return nil
}

// String names the server in errors.
func (l *Local) String() string { return fmt.Sprintf("%s at %s", l.Product, l.Socket) }

// LastWords is the end of the server's logs, for an error.
func (l *Local) LastWords() string {
	var words []byte
	for _, file := range []string{filepath.Join(l.dir, "output.log"), l.logFile()} {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			text = []byte(err.Error())
		}
		words = append(words, text...)
	}
	return tail(words)
}

// Running tells whether the server's process is there. One that was ended from outside is not.
func (l *Local) Running() bool {
	if l.Pid == 0 {
		return false
	}
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// Stop shuts the server down and waits until it has gone.
func (l *Local) Stop() error { return l.end(unix.SIGTERM) }

// Kill kills the server, as the kernel would when memory runs out, and waits until it has gone.
func (l *Local) Kill() error { return l.end(unix.SIGKILL) }

func (l *Local) end(signal unix.Signal) error {
	if l.Pid == 0 {
		return nil
	}
	if l.Running() {
		if err := unix.Kill(l.Pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop %s: %w", l, err)
		}
	}
	const patience = time.Minute
	select {
	case <-l.ended:
	case <-time.After(patience):
		if err := unix.Kill(l.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop %s: %w", l, err)
		}
		<-l.ended
		l.Pid = 0
		return fmt.Errorf("stop %s: it did not end in %s: %s", l, patience, l.LastWords())
	}
	l.Pid = 0
	return nil
}

// Snapshot copies the data of a stopped server to dir, which must not be there yet: a cold backup.
func (l *Local) Snapshot(ctx context.Context, dir string) error {
	if l.Running() {
		return fmt.Errorf("copy data of %s: it runs: stop it first", l)
	}
	return copyData(ctx, l.DataDir, dir)
}

// BinlogFiles are the paths of the binary log's files, oldest first.
func (l *Local) BinlogFiles() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(l.DataDir, "binlog.index"))
	if err != nil {
		return nil, fmt.Errorf("list binary logs of %s: %w", l, err)
	}
	var files []string
	for name := range strings.FieldsSeq(string(text)) {
		files = append(files, filepath.Join(l.DataDir, filepath.Base(name)))
	}
	return files, nil
}

// Close ends the server and removes everything that it had.
func (l *Local) Close() error {
	err := l.end(unix.SIGKILL)
	if l.dir != "" {
		err = errors.Join(err, os.RemoveAll(l.dir))
	}
	if l.lock != nil {
		l.lock()
		l.lock = nil
	}
	return err
}
