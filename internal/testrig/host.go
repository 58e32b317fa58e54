package testrig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HostSpec says what a host is called and which server software is installed on it.
type HostSpec struct {
	Name     string
	Products []Product // none: no trace of a database
	FarEnds  bool      // with rsync, git and python3 on it
}

// Host is one host. Its methods may be called from several goroutines at once.
type Host struct {
	Name string
	Addr netip.Addr

	rig     *Rig
	number  int // last byte of the address
	dir     string
	lower   string
	hostKey string

	mu      sync.Mutex
	init    process       // zero while the host is off
	down    chan struct{} // closed when the init of the present boot has ended
	stopped bool          // for good: no reboot from inside any more
}

// errOff is returned by what needs a host that runs.
var errOff = errors.New("host is off")

// reserve takes the addresses for n hosts, which follow one another, and returns the first.
func (r *Rig) reserve(n int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next
	if first+n-1 > lastHost {
		return 0, fmt.Errorf("add %d hosts: no address left, or the rig is closed", n)
	}
	r.next += n
	return first, nil
}

func (r *Rig) addHost(ctx context.Context, spec HostSpec, number int) (*Host, error) {
	if !goodName.MatchString(spec.Name) {
		return nil, fmt.Errorf("add host %q: want lower-case letters, digits, dot, - and _", spec.Name)
	}
	h := &Host{
		Name: spec.Name, Addr: address(r.number, number),
		rig: r, number: number, dir: filepath.Join(r.dir, "hosts", spec.Name), lower: r.trees.lower(spec.Products),
	}
	if spec.FarEnds {
		layer, err := r.cache.farEndLayer(ctx)
		if err != nil {
			return nil, fmt.Errorf("add host %q: %w", spec.Name, err)
		}
		h.lower = layer + ":" + h.lower
	}
	if err := os.Mkdir(h.dir, 0o755); err != nil {
		return nil, fmt.Errorf("add host %q: %w", spec.Name, err)
	}
	err := h.install(ctx)
	if err == nil {
		err = addHostNetwork(ctx, r.number, number, filepath.Join(h.dir, "net"))
	}
	if err == nil {
		err = h.Boot(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("add host %q: %w", spec.Name, err), h.remove())
	}
	return h, nil
}

// Boot starts a host that is off, with a new boot id, and waits until its sshd answers. Servers that ran
// before are not started.
func (h *Host) Boot(ctx context.Context) error {
	// The host lives as long as the rig, not as long as the call.
	if err := h.boot(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := setLink(ctx, h.rig.number, h.number, true); err != nil {
		return err
	}
	return h.waitSSH(ctx)
}

// boot starts the host's init.
func (h *Host) boot(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return errOff
	}
	if h.init.pid != 0 {
		return fmt.Errorf("boot %s: it is running", h.Name)
	}
	id := randomHex(16)
	id = fmt.Sprintf("%s-%s-4%s-8%s-%s\n", id[:8], id[8:12], id[13:16], id[17:20], id[20:])
	if err := os.WriteFile(filepath.Join(h.dir, "boot_id"), []byte(id), 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(h.dir, "boot.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// nsenter does not fork here: the shell that it turns into is process 1 of the new namespace.
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+filepath.Join(h.dir, "net"), "--", "/bin/sh", "-c", bootScript, "boot", h.Name, h.dir, h.lower)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, // ^C on a terminal is the owner's to handle
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS |
			syscall.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("boot %s: %w", h.Name, err)
	}
	h.init, err = findProcess(cmd.Process.Pid)
	if err == nil {
		err = h.init.write(filepath.Join(h.dir, "init"))
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	h.down = make(chan struct{})
	go h.watch(ctx, cmd, h.down)
	return nil
}

// watch waits for a boot's end and boots again if the host asked for it.
func (h *Host) watch(ctx context.Context, cmd *exec.Cmd, down chan struct{}) {
	_ = cmd.Wait() // how it ended stands in ProcessState
	h.mu.Lock()
	h.init = process{}
	h.mu.Unlock()
	close(down)
	if !wantsReboot(cmd.ProcessState) {
		return
	}
	if err := h.boot(ctx); err != nil && !errors.Is(err, errOff) {
		fmt.Fprintf(h.rig.log, "testrig: %v\n", err)
	}
}

// exitReboot is the status of an init that was asked, from inside, to reboot (scripts/init.pl).
const exitReboot = 99

// wantsReboot tells how an init ended. Where nobody asks it, as in reboot -f, the kernel kills it: with HUP
// to restart, with INT to halt (reboot(2), "Behavior inside PID namespaces").
func wantsReboot(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && (status.ExitStatus() == exitReboot || status.Signaled() && status.Signal() == syscall.SIGHUP)
}

// waitSSH waits for sshd's banner.
func (h *Host) waitSSH(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	h.mu.Lock()
	down := h.down
	h.mu.Unlock()
	for {
		err := h.greet(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-down:
			log, _ := os.ReadFile(filepath.Join(h.dir, "boot.log"))
			return fmt.Errorf("boot %s: it went down: %s", h.Name, tail(log))
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(h.dir, "boot.log"))
			return fmt.Errorf("boot %s: sshd does not answer: %w: %s", h.Name, err, tail(log))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func dialSSH(ctx context.Context, h *Host) (net.Conn, error) {
	// Short, since a SYN that the link lost while it came up is sent again only after a second.
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(h.Addr, 22).String())
}

func (h *Host) greet(ctx context.Context) error {
	conn, err := dialSSH(ctx, h)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "SSH-2.0-") {
		return fmt.Errorf("greeting %q is not sshd's", line)
	}
	return nil
}

// Up tells whether the host runs.
func (h *Host) Up() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.init.pid != 0
}

// Exec runs a shell script as root inside the host and returns what it wrote to standard output. The error
// holds the exit status and what it wrote to standard error.
func (h *Host) Exec(ctx context.Context, script string) (string, error) {
	cmd, err := h.Command(ctx, "/bin/sh", "-c", script)
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run on %s: %w: %s", h.Name, err, tail(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Command prepares a program to be run as root inside the host, with a clean environment. It ends with the
// host.
func (h *Host) Command(ctx context.Context, argv ...string) (*exec.Cmd, error) {
	h.mu.Lock()
	init := h.init
	h.mu.Unlock()
	if init.pid == 0 {
		return nil, fmt.Errorf("run on %s: %w", h.Name, errOff)
	}
	return enter(ctx, init, argv...), nil
}

// enter prepares a program to be run in all namespaces of a host's init.
func enter(ctx context.Context, init process, argv ...string) *exec.Cmd {
	args := []string{
		"--target", fmt.Sprint(init.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
	}
	return exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
}

// Path is where the machine sees a path of the running host. A symbolic link with an absolute target on the
// way leads to the machine's own files: never write through it what WriteFile can write.
func (h *Host) Path(path string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.init.pid == 0 {
		return "", fmt.Errorf("find %s on %s: %w", path, h.Name, errOff)
	}
	return fmt.Sprintf("/proc/%d/root%s", h.init.pid, path), nil
}

// WriteFile writes a file on the host. Directories on the way must be there. A symbolic link is followed as
// the host would follow it, never out of the host's root (openat2(2), RESOLVE_IN_ROOT).
func (h *Host) WriteFile(path, text string, mode os.FileMode) error {
	root, err := h.Path("/")
	if err != nil {
		return err
	}
	f, err := openInRoot(root, path, mode)
	if err != nil {
		return fmt.Errorf("write %s on %s: %w", path, h.Name, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s on %s: %w", path, h.Name, err)
	}
	return nil
}

func openInRoot(root, path string, mode os.FileMode) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC | unix.O_CLOEXEC,
		Mode:    uint64(mode.Perm()),
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}
