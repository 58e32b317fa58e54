package target

import (
	"errors"
	"os"
	"os/user"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptionFile(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want fileOptions
	}{
		"plain":     {"[client]\nuser=u\nhost=db1\nport=3307\npassword=p\n", fileOptions{Options{User: "u", Host: "db1", Port: 3307}, "", "p", true}},
		"spaces":    {"  [client]\n  user = u  \n\tsocket\t=\t/run/s \n", fileOptions{Options{User: "u", Socket: "/run/s"}, "", "", false}},
		"CRLF":      {"[client]\r\nuser=u\r\npassword=p\r\n", fileOptions{Options{User: "u"}, "", "p", true}},
		"comments":  {"# c\n; c\n[client] # c\nuser=u # c\npassword='a#b' # c\n", fileOptions{Options{User: "u"}, "", "a#b", true}},
		"quotes":    {"[client]\npassword=\"it's\"\nuser='a b'\n", fileOptions{Options{User: "a b"}, "", "it's", true}},
		"escapes":   {`[client]` + "\n" + `password=a\sb\\c\td\q\"` + "\n", fileOptions{Options{}, "", "a b\\c\td\\q\"", true}},
		"empty":     {"[client]\npassword=\n", fileOptions{Options{}, "", "", true}},
		"last wins": {"[client]\nuser=a\n[mysql]\nuser=b\n[client-mariadb]\nuser=c\n", fileOptions{Options{User: "c"}, "", "", false}},
		"others":    {"[mysqld]\nuser=mysql\nskip-networking\n[mariadb]\nsocket=/x\n[mysqldump]\nquick\n[client]\nuser=u\nno-beep\nprompt=\\u>\n", fileOptions{Options{User: "u"}, "", "", false}},
		"dashes":    {"[client]\nssl_mode=REQUIRED\nloose-ssl_ca=/ca\n", fileOptions{Options{SSLMode: "REQUIRED", SSLCA: "/ca"}, "", "", false}},
		"TCP":       {"[client]\nprotocol=tcp\nport=3307\n", fileOptions{Options{Port: 3307}, protocolTCP, "", false}},
		"MariaDB":   {"[client-server]\nssl-verify-server-cert\n", fileOptions{Options{SSLMode: "VERIFY_IDENTITY"}, "", "", false}},
		"no TLS":    {"[client]\nskip-ssl\n", fileOptions{Options{SSLMode: "DISABLED"}, "", "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseDefaults("my.cnf", c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(fileOptions{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOptionFileRefused(t *testing.T) {
	for text, words := range map[string][]string{
		"[client]\nuser=u\n!include /etc/more.cnf\n": {"my.cnf:3", "!include", "name the file itself"},
		"[client]\n!includedir /etc/mysql/conf.d\n":  {"my.cnf:2", "!includedir"},
		"user=u\n":                        {"my.cnf:1", "before the first group"},
		"[client\nuser=u\n":               {"my.cnf:1", "not a group"},
		"[client]\nuser name=u\n":         {"my.cnf:2", "not an option"},
		"[client]\n=secret\n":             {"my.cnf:2", "not an option"},
		"[client]\nport=33o6\n":           {"my.cnf:2", "port", "33o6"},
		"[client]\npassword='secret\n":    {"my.cnf:2", "quote at the start"},
		"[client]\npassword\n":            {"my.cnf:2", "no value", "--password-file"},
		"[client]\nuser\n":                {"my.cnf:2", "no value"},
		"[client]\nssl-capath=/etc/ssl\n": {"my.cnf:2", "--ssl-ca"},
		"[client]\nprotocol=pipe\n":       {"my.cnf:2", "TCP or SOCKET"},
		"[mysqld]\nuser=mysql\n":          {"no group for clients"},
		"":                                {"no group for clients"},
	} {
		_, err := parseDefaults("my.cnf", text)
		mustRefuse(t, err, words...)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("error %q shows a password", err)
		}
	}
	path := writeFile(t, "[client]\n")
	if err := os.Chmod(path, 0o666); err != nil { // past the umask
		t.Fatal(err)
	}
	_, err := readDefaults(path)
	mustRefuse(t, err, "everybody may write", "chmod")
	_, err = readDefaults(path + ".missing")
	mustRefuse(t, err, "read option file", "no such file")
}

func TestResolve(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "[client]\nuser=fromfile\npassword=filepw\nsocket=/run/file.sock\nport=3310\n")
	remote := writeFile(t, "[client]\nhost=db1\nport=3310\n")
	password := writeFile(t, "onlyline\n")
	// As clients write them: what decides the protocol stands anywhere.
	tcp := writeFile(t, "[client]\nprotocol=tcp\nhost=localhost\nsocket=/run/other.sock\nport=3310\n")
	t.Setenv("MYSQL_PWD", "envpw")
	t.Setenv("MYSQL_HOST", "")
	t.Setenv("MYSQL_TCP_PORT", "3399")
	t.Setenv("MYSQL_UNIX_PORT", "/run/env.sock")
	for name, c := range map[string]struct {
		opts Options
		want login
	}{
		"the environment comes last": {Options{Socket: "/s"}, login{socket: "/s", user: me.Username, password: "envpw", mode: tlsPreferred}},
		"the file":                   {Options{DefaultsFile: file}, login{socket: "/run/file.sock", port: 3310, user: "fromfile", password: "filepw", mode: tlsPreferred}},
		"the command line before the file": {Options{DefaultsFile: file, User: "me", PasswordFile: password, Host: "db2"},
			login{host: "db2", port: 3310, user: "me", password: "onlyline", mode: tlsPreferred}},
		"a host of the file, a socket of the command line": {Options{DefaultsFile: remote, Socket: "/s", User: "u"},
			login{socket: "/s", port: 3310, user: "u", password: "envpw", mode: tlsPreferred}},
		"localhost, a socket of the file": {Options{DefaultsFile: file, Host: "localhost"},
			login{host: "localhost", socket: "/run/file.sock", port: 3310, user: "fromfile", password: "filepw", mode: tlsPreferred}},
		"localhost by TCP":             {Options{DefaultsFile: tcp, User: "u"}, login{host: "127.0.0.1", port: 3310, user: "u", password: "envpw", mode: tlsPreferred}},
		"localhost given, by TCP":      {Options{DefaultsFile: tcp, Host: "localhost", Port: 3311, User: "u"}, login{host: "127.0.0.1", port: 3311, user: "u", password: "envpw", mode: tlsPreferred}},
		"a socket, not the file's TCP": {Options{DefaultsFile: tcp, Socket: "/s", User: "u"}, login{host: "", socket: "/s", port: 3310, user: "u", password: "envpw", mode: tlsPreferred}},
		"the environment's socket":     {Options{User: "u"}, login{socket: "/run/env.sock", user: "u", password: "envpw", mode: tlsPreferred}},
		"the environment's port":       {Options{Host: "192.0.2.7", User: "u"}, login{host: "192.0.2.7", port: 3399, user: "u", password: "envpw", mode: tlsPreferred}},
		"localhost is a socket":        {Options{Host: "localhost", Socket: "/s", User: "u"}, login{host: "localhost", socket: "/s", user: "u", password: "envpw", mode: tlsPreferred}},
		"a CA asks for its use":        {Options{Socket: "/s", User: "u", SSLCA: "/ca"}, login{socket: "/s", user: "u", password: "envpw", mode: tlsVerifyCA, ca: "/ca"}},
		"a mode in small letters":      {Options{Host: "h", User: "u", SSLMode: "verify_identity"}, login{host: "h", port: 3399, user: "u", password: "envpw", mode: tlsVerifyIdentity}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.opts.resolve()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(login{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		opts  Options
		words []string
	}{
		{Options{Host: "db1", Socket: "/s"}, []string{"db1", "/s", "give one"}},
		{Options{Port: 3307}, []string{"3307", "--host=127.0.0.1"}},
		{Options{Host: "localhost", Port: 3307}, []string{"3307", "--host=127.0.0.1"}},
		{Options{DefaultsFile: writeFile(t, "[client]\nhost=localhost\nport=3307\n")}, []string{"3307", "--host=127.0.0.1", "--socket"}},
		{Options{DefaultsFile: writeFile(t, "[client]\nhost=db1\nprotocol=socket\n")}, []string{"db1", "protocol=socket"}},
		{Options{Host: "db1", Port: 70000}, []string{"70000"}},
		{Options{Socket: "/s", SSLMode: "ON"}, []string{"ON", "VERIFY_CA"}},
		{Options{Socket: "/s", SSLCert: "/c"}, []string{"--ssl-key"}},
		{Options{Socket: "/s", PasswordFile: "/nowhere/pw"}, []string{"read password", "/nowhere/pw"}},
		{Options{Socket: "/s", PasswordFile: writeFile(t, "one\ntwo\n")}, []string{"one line"}},
	} {
		_, err := Connect(t.Context(), c.opts)
		mustRefuse(t, err, c.words...)
		if _, ok := errors.AsType[*OptionsError](err); !ok {
			t.Errorf("%v is not an error of the options", err)
		}
	}
}

func FuzzOptionFile(f *testing.F) {
	f.Add("[client]\nuser=u\npassword='a\\sb' # c\n!include x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseDefaults("my.cnf", text); err == nil && !strings.Contains(text, "[") {
			t.Errorf("understood %+v without a group", got)
		}
	})
}
