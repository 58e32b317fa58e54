package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

func TestConnect(t *testing.T) {
	eachServer(t, testrig.LocalSpec{Loopback: true}, func(t *testing.T, local *testrig.Local, s *Server) {
		maria := local.Product == testrig.MariaDB
		if maria != (s.Flavor == binlog.MariaDB) || s.GTIDs == maria || s.Version == "" {
			t.Errorf("it is taken for %v %q, GTIDs %v", s.Flavor, s.Version, s.GTIDs)
		}
		t.Run("statements", func(t *testing.T) { testStatements(t, s) })
		t.Run("packets", func(t *testing.T) { testPackets(t, s) })
		t.Run("interruption", func(t *testing.T) { testInterruption(t, s) })
		t.Run("loss", func(t *testing.T) { testLoss(t, s) })
		t.Run("logins", func(t *testing.T) { testLogins(t, local, s) })
		s.Close()
		if _, err := s.Dial(t.Context()); err == nil {
			t.Error("a closed server dials")
		}
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	})
}

func testStatements(t *testing.T, s *Server) {
	c := dial(t, s)
	rows, err := c.Query(t.Context(), "SELECT 1, NULL, '', REPEAT('x', 300) UNION ALL SELECT 2, 'a', 'b\\0', REPEAT('y', 70000)")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0][0].Text != "1" || !rows[0][1].Null || rows[0][2] != (Value{}) || len(rows[0][3].Text) != 300 ||
		rows[1][2].Text != "b\x00" || len(rows[1][3].Text) != 70000 {
		t.Errorf("wrong rows: %.200v", rows)
	}
	mustExec(t, c, "DO 1", "SELECT 1", "SELECT 1 FROM DUAL WHERE 0")
	if err := c.Exec(t.Context(), "SELEC"); errorCode(err) != 1064 || lost(err) {
		t.Errorf("a wrong statement gives %v", err)
	}
	// Errors may come after rows.
	if err := c.Exec(t.Context(), "SELECT (SELECT 1 UNION SELECT 2)"); errorCode(err) != 1242 {
		t.Errorf("an error instead of rows gives %v", err)
	}
	if err := c.Exec(t.Context(), "SELECT 1; SELECT 2"); errorCode(err) != 1064 {
		t.Errorf("two statements give %v", err)
	}
	if got := mustText(t, c, "SELECT "+quoteText("a'b\\c\n\x00ü")); got != "a'b\\c\n\x00ü" {
		t.Errorf("a quoted text comes back as %q", got)
	}
}

// testPackets sends statements around the bounds of one and two packets.
func testPackets(t *testing.T, s *Server) {
	c := dial(t, s)
	before := mustText(t, c, "SELECT @@GLOBAL.max_allowed_packet")
	mustExec(t, c, "SET GLOBAL max_allowed_packet=67108864")
	big := dial(t, s)
	const full, head, tail = 1<<24 - 1, "SELECT LENGTH('", "')"
	for _, total := range []int{100, full - 2, full - 1, full, full + 1, 2*full - 2, 2*full - 1, 2 * full, 2*full + 1} {
		sql := []byte(head + strings.Repeat("x", total-len(head)-len(tail)) + tail)
		var got string
		if _, err := big.run(t.Context(), sql, func(row []Value) { got = row[0].Text }); err != nil {
			t.Fatalf("%d bytes: %v", total, err)
		}
		if got != fmt.Sprint(total-len(head)-len(tail)) {
			t.Errorf("%d bytes arrive as %s", total, got)
		}
		if !strings.HasSuffix(string(sql), "xx"+tail) || sql[full/2%len(sql)] == 0 {
			t.Errorf("%d bytes have been changed", total)
		}
	}
	mustExec(t, c, "SET GLOBAL max_allowed_packet=1048576")
	small := dial(t, s)
	err := small.ExecBytes(t.Context(), []byte(head+strings.Repeat("x", 8<<20)+tail))
	if err == nil || !lost(err) && errorCode(err) != 1153 {
		t.Errorf("a packet that is too large gives %v", err)
	}
	mustExec(t, c, "SET GLOBAL max_allowed_packet="+before)
}

func testInterruption(t *testing.T, s *Server) {
	c := dial(t, s)
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	start := time.Now()
	err := c.Exec(ctx, "DO SLEEP(20)")
	if !errors.Is(err, cause) || lost(err) || time.Since(start) > 10*time.Second {
		t.Errorf("after %s: %v, lost %v", time.Since(start), err, lost(err))
	}
	mustRefuse(t, c.Exec(t.Context(), "DO 1"), "cannot be used", "told to stop")
	if _, err := s.Dial(ctx); !errors.Is(err, cause) {
		t.Errorf("dial with an ended context: %v", err)
	}
}

func testLoss(t *testing.T, s *Server) {
	a, b := dial(t, s), dial(t, s)
	mustExec(t, a, fmt.Sprintf("KILL %d", b.ID))
	if err := b.Exec(t.Context(), "DO 1"); !lost(err) {
		t.Errorf("a killed connection gives %v", err)
	}
	if err := b.Exec(t.Context(), "DO 1"); err == nil {
		t.Error("a lost connection goes on")
	}
	done := make(chan error, 1)
	c := dial(t, s)
	go func() { done <- c.Exec(t.Context(), "DO SLEEP(20)") }()
	time.Sleep(100 * time.Millisecond)
	mustExec(t, a, fmt.Sprintf("KILL %d", c.ID))
	if err := <-done; !lost(err) {
		t.Errorf("a connection killed while it waits gives %v", err)
	}
}

func testLogins(t *testing.T, local *testrig.Local, s *Server) {
	c := dial(t, s)
	accounts := map[string]string{"native": "CREATE USER native@'%' IDENTIFIED BY 'päss'"}
	if local.Product == testrig.MySQL {
		accounts["native"] = "CREATE USER native@'%' IDENTIFIED WITH caching_sha2_password BY 'päss'"
		mustExec(t, c, "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
	} else {
		const noLibrary = 1126 // the smallest packages of the server come without it
		if err := c.Exec(t.Context(), "INSTALL SONAME 'auth_ed25519'"); err == nil {
			accounts["ed"] = "CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('päss')"
		} else if errorCode(err) != noLibrary {
			t.Fatalf("install auth_ed25519: %v", err)
		}
	}
	for _, sql := range accounts {
		mustExec(t, c, sql)
	}
	password := writeFile(t, "päss\n")
	for name, opts := range map[string]Options{
		"socket":                {Socket: local.Socket, User: "native", PasswordFile: password},
		"TCP":                   {Host: "127.0.0.1", Port: local.Port, User: "native", PasswordFile: password},
		"TCP again, from cache": {Host: "127.0.0.1", Port: local.Port, User: "native", PasswordFile: password},
		"without TLS":           {Host: "127.0.0.1", Port: local.Port, User: "native", PasswordFile: password, SSLMode: "DISABLED"},
	} {
		t.Run(name, func(t *testing.T) { connect(t, opts) })
	}
	if accounts["ed"] != "" {
		connect(t, Options{Host: "127.0.0.1", Port: local.Port, User: "ed", PasswordFile: password})
	}
	if os.Getuid() == 0 { // the kernel tells the server who we are
		plugin := map[testrig.Product]string{testrig.MySQL: "WITH auth_socket", testrig.MariaDB: "VIA unix_socket"}
		mustExec(t, c, "ALTER USER root@localhost IDENTIFIED "+plugin[local.Product])
		connect(t, Options{Socket: local.Socket, User: "root"})
	}
	testTLS(t, local, Options{Host: "127.0.0.1", Port: local.Port, User: "native", PasswordFile: password})
	_, err := Connect(t.Context(), Options{Socket: local.Socket, User: "native", PasswordFile: writeFile(t, "wrong")})
	mustRefuse(t, err, "connect to native@", "--password-file")
	_, err = Connect(t.Context(), Options{Socket: local.Socket + ".gone", User: "root"})
	mustRefuse(t, err, ".gone", "is this its socket")
}

// testTLS needs what MySQL makes for itself in its data directory; a fresh MariaDB 10.11 offers no TLS.
func testTLS(t *testing.T, local *testrig.Local, opts Options) {
	cipher := func(opts Options) (string, error) {
		s, err := Connect(t.Context(), opts)
		if err != nil {
			return "", err
		}
		defer s.Close()
		rows, err := dial(t, s).Query(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err != nil {
			return "", err
		}
		return rows[0][1].Text, nil
	}
	opts.SSLMode = "REQUIRED"
	got, err := cipher(opts)
	if local.Product == testrig.MariaDB {
		mustRefuse(t, err, "does not support TLS")
		return
	}
	if err != nil || got == "" {
		t.Errorf("REQUIRED: cipher %q, %v", got, err)
	}
	opts.SSLMode, opts.SSLCA = "", filepath.Join(local.DataDir, "ca.pem")
	if got, err = cipher(opts); err != nil || got == "" {
		t.Errorf("VERIFY_CA: cipher %q, %v", got, err)
	}
	opts.SSLMode = "VERIFY_IDENTITY"
	_, err = cipher(opts)
	mustRefuse(t, err, "certificate")
	opts.SSLMode, opts.SSLCA = "VERIFY_CA", filepath.Join(local.DataDir, "client-cert.pem") // signed, and signs nothing
	_, err = cipher(opts)
	mustRefuse(t, err, "certificate")
	opts.SSLCA = writeFile(t, "none")
	_, err = cipher(opts)
	mustRefuse(t, err, "no certificate in it")
}
