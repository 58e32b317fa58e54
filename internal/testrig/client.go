package testrig

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clientCommand is the product's own client, run on the machine out of the cache, so that it is no process of
// any host.
func (t trees) clientCommand(product Product) ([]string, error) {
	tree, libs, program := t.mysql, "opt/mysql/libs", "opt/mysql/bin/mysql"
	if product == MariaDB {
		tree, libs, program = t.mariadb, "usr/lib/*-linux-gnu", "usr/bin/mariadb"
	}
	loaders, err := filepath.Glob(filepath.Join(tree, libs, "ld-linux*.so*"))
	if err != nil {
		return nil, err
	}
	if len(loaders) == 0 {
		return nil, fmt.Errorf("find client of %s: no ld.so in %s", product, tree)
	}
	return []string{loaders[0], "--library-path", filepath.Dir(loaders[0]), filepath.Join(tree, program),
		"--no-defaults", "--connect-timeout=10"}, nil
}

// client prepares a client of the server with more arguments.
func (s *Server) client(ctx context.Context, args ...string) (*exec.Cmd, error) {
	argv, err := s.Host.rig.trees.clientCommand(s.spec.Product)
	if err != nil {
		return nil, err
	}
	argv = append(argv, args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...), nil
}

// socket is where the machine sees the server's socket. Root by socket is let in from there as well: the
// server asks the kernel for the peer's uid, and that is the same.
func (s *Server) socket() (string, error) { return s.Host.Path(s.Socket) }

// knock tells whether somebody listens on the server's socket.
func (s *Server) knock(ctx context.Context) error {
	socket, err := s.socket()
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Query runs statements as root by the server's socket, whichever network namespace it is in, and returns
// the rows of the last result by column name; a NULL is missing from its row. It holds a connection for no
// longer than that.
func (s *Server) Query(ctx context.Context, statements string) ([]map[string]string, error) {
	socket, err := s.socket()
	if err != nil {
		return nil, err
	}
	cmd, err := s.client(ctx, "--user=root", "--socket="+socket, "--default-character-set=utf8mb4", "--xml")
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(statements), &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("query %s: %q: %w: %s", s, statements, err, tail(stderr.Bytes()))
	}
	rows, err := readXML(out)
	if err != nil {
		return nil, fmt.Errorf("query %s: %q: %w", s, statements, err)
	}
	return rows, nil
}

// readXML reads what the clients print with --xml: a document for each result.
func readXML(text []byte) ([]map[string]string, error) {
	var rows []map[string]string
	for document := range bytes.SplitSeq(text, []byte("<?xml version=\"1.0\"?>")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var result struct {
			Rows []struct {
				Fields []struct {
					Name string `xml:"name,attr"`
					Nil  bool   `xml:"nil,attr"`
					Text string `xml:",chardata"`
				} `xml:"field"`
			} `xml:"row"`
		}
		if err := xml.Unmarshal(document, &result); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read result: %w", err)
		}
		rows = nil
		for _, r := range result.Rows {
			row := map[string]string{}
			for _, f := range r.Fields {
				if !f.Nil {
					row[f.Name] = f.Text
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}
