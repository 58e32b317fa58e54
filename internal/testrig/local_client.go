package testrig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

// Connect opens a connection as root. The caller closes it.
func (l *Local) Connect(ctx context.Context) (*client.Conn, error) {
	conn, err := client.ConnectWithContext(ctx, l.Socket, "root", "", "", 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l, err)
	}
	return conn, nil
}

// Query runs one statement as root and returns its rows by column name; a NULL is missing from its row.
func (l *Local) Query(ctx context.Context, statement string) ([]map[string]string, error) {
	conn, err := l.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // a server that hangs does not hold us beyond ctx
	result, err := conn.Execute(statement)
	if err != nil {
		return nil, fmt.Errorf("query %s: %q: %w", l, statement, err)
	}
	defer result.Close()
	if result.Resultset == nil {
		return nil, nil
	}
	var rows []map[string]string
	for _, values := range result.Values {
		row := map[string]string{}
		for i, field := range result.Fields {
			if value := values[i].Value(); value != nil {
				row[string(field.Name)] = text(value)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func text(value any) string {
	if raw, ok := value.([]byte); ok {
		return string(raw)
	}
	return fmt.Sprint(value)
}

// Exec runs a script of statements through the product's own client, which stops at the first error. What it
// prints (tab separated rows, without column names) is returned.
func (l *Local) Exec(ctx context.Context, script string) (string, error) {
	cmd := l.Client(ctx, "--batch", "--skip-column-names")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(script), &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("run script on %s: %w: %s", l, err, tail(stderr.Bytes()))
	}
	return string(out), nil
}

// Client prepares the product's own client, logged in as root, with more arguments.
func (l *Local) Client(ctx context.Context, args ...string) *exec.Cmd {
	argv := l.tools.command("mysql", append([]string{"--no-defaults", "--user=root", "--socket=" + l.Socket,
		"--max-allowed-packet=1G"}, args...)...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

// Tools are the server's own programs.
func (l *Local) Tools() Tools { return l.tools }

// Pipe replays files the standard way: mysqlbinlog OPTIONS FILES | mysql. The error holds what both said.
func (l *Local) Pipe(ctx context.Context, options []string, files ...string) error {
	argv := l.tools.command("mysqlbinlog", append(append([]string{"--no-defaults"}, options...), files...)...)
	printer := exec.CommandContext(ctx, argv[0], argv[1:]...)
	read := l.Client(ctx, "--binary-mode")
	var printErr, readErr bytes.Buffer
	printer.Stderr, read.Stderr = &printErr, &readErr
	pipe, err := printer.StdoutPipe()
	if err != nil {
		return err
	}
	read.Stdin = pipe
	if err := read.Start(); err != nil {
		return fmt.Errorf("replay into %s: %w", l, err)
	}
	if err := printer.Start(); err != nil {
		pipe.Close()
		return errors.Join(fmt.Errorf("replay into %s: %w", l, err), read.Wait())
	}
	// The client first: when it stops half-way, mysqlbinlog dies of SIGPIPE once our end is closed too.
	readFailed := read.Wait()
	pipe.Close()
	printFailed := printer.Wait()
	switch {
	case readFailed != nil:
		return fmt.Errorf("replay into %s: mysql: %w: %s", l, readFailed, tail(readErr.Bytes()))
	case printFailed != nil:
		return fmt.Errorf("replay into %s: mysqlbinlog: %w: %s", l, printFailed, tail(printErr.Bytes()))
	}
	return nil
}
