package policy

import (
	"strings"
	"testing"

	"interlock/checks"

	"mvdan.cc/sh/v3/syntax"
)

// FuzzClassify: a classification is whole, whatever the command; and a command that is proven harmless for sh is
// understood by both grammars, on its own as well as for each shell.
func FuzzClassify(f *testing.F) {
	for _, l := range corpus(f) {
		f.Add(l.command)
	}
	c := classifier(f)
	f.Fuzz(func(t *testing.T, command string) {
		got := c.Classify(command, "/bin/sh")
		if got.Command != command || got.Class < checks.ReadOnly || got.Class > checks.Destructive || len(got.Reasons) == 0 {
			t.Fatalf("%q: %+v", command, got)
		}
		for _, r := range got.Reasons {
			if r.Code == "" || r.Text == "" || r.Start < 0 || r.Start > r.End || r.End > len(command) {
				t.Fatalf("%q: reason %+v", command, r)
			}
		}
		if again := c.Classify(command, "sh"); again.Class != got.Class {
			t.Fatalf("%q: %s, then %s", command, got.Class, again.Class)
		}
		dash, bash := c.Classify(command, "dash"), c.Classify(command, "bash")
		if worst := max(dash.Class, bash.Class); worst != got.Class {
			t.Fatalf("%q: sh %s, dash %s, bash %s", command, got.Class, dash.Class, bash.Class)
		}
		if got.Class == checks.ReadOnly {
			for _, lang := range []syntax.LangVariant{syntax.LangPOSIX, syntax.LangBash} {
				if _, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(command), ""); err != nil {
					t.Fatalf("%q: read-only, yet %v", command, err)
				}
			}
		}
	})
}

// FuzzWrapped: no wrapper makes a command milder, nor does company.
func FuzzWrapped(f *testing.F) {
	for _, l := range corpus(f) {
		f.Add(l.command)
	}
	c := classifier(f)
	f.Fuzz(func(t *testing.T, command string) {
		if len(command) > maxCommandBytes/2 {
			return
		}
		class := c.Classify(command, "/bin/sh").Class
		inner := Quote([]string{command})
		for _, wrapped := range []string{
			"sh -c " + inner,
			"sudo sh -c " + inner,
			"sudo -n -u mysql sh -c " + inner,
			"env sh -c " + inner,
			"nohup sh -c " + inner,
			"nice -n 19 sh -c " + inner,
			"timeout 10 sh -c " + inner,
			"timeout -s KILL 1m sudo nice sh -c " + inner,
			"bash -c " + inner + " && dash -c " + inner,
			"xargs sh -c " + inner,
			"find /etc -exec sh -c " + inner + ` \;`,
			"docker exec db sh -c " + inner,
			"su mysql -s /bin/sh -c " + inner,
			"su mysql -c " + inner,
			"ssh db2 " + inner,
			"sudo -i " + inner,
			"watch " + inner,
			"uptime; sh -c " + inner,
			"! sh -c " + inner + " | cat",
			`echo "$(sh -c ` + inner + `)"`,
		} {
			if strings.HasPrefix(inner, "-") && !strings.Contains(wrapped, "-c "+inner) {
				continue // an option of the wrapper, not a command
			}
			if got := c.Classify(wrapped, "/bin/sh"); got.Class < class {
				t.Fatalf("%q is %s, %q %s", command, class, wrapped, got.Class)
			}
		}
		// Written as it is behind a prefix, where it stays one list of commands.
		if class > checks.ReadOnly && !strings.ContainsAny(command, "\n#") {
			for _, wrapped := range []string{"{ " + command + "\n}", "( " + command + "\n)", "if true; then " + command + "\nfi", "while " + command + "\ndo :; done"} {
				if got := c.Classify(wrapped, "/bin/sh"); got.Class < class {
					t.Fatalf("%q is %s, %q %s", command, class, wrapped, got.Class)
				}
			}
		}
	})
}

// FuzzSQL: a statement that reads stays one when more readers stand beside it, and stops being one beside a writer.
func FuzzSQL(f *testing.F) {
	for _, seed := range []string{"select 1", "show tables", "select 'a;b'", "select 1 -- x", "select `a` from t\\G", "explain select 1", "select \"a\\\"b\"", "select 1. into @a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		if readsOnly(statement) != "" {
			return
		}
		if why := readsOnly(statement + ";select 1"); why != "" {
			t.Fatalf("%q reads, but with another beside it: %s", statement, why)
		}
		if readsOnly(statement+";drop table t") == "" || readsOnly("drop table t;"+statement) == "" || readsOnly(statement+"\n;\\! rm x") == "" {
			t.Fatalf("%q hides a writer beside it", statement)
		}
	})
}

// FuzzQuote: what is quoted comes back from the shell's grammar as the same words.
func FuzzQuote(f *testing.F) {
	f.Add("ls", "-l a")
	f.Add("it's", "$x `y` \"z\"")
	f.Add("a=b", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		argv := []string{first, second}
		file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(Quote(argv)), "")
		if strings.ContainsAny(first+second, "\r\x00\\") || !validUTF8(first) || !validUTF8(second) {
			return // the parser drops these; the shell's own test has them
		}
		if err != nil || len(file.Stmts) != 1 {
			t.Fatalf("%q: %v", argv, err)
		}
		call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
		if !ok || len(call.Assigns) > 0 || len(call.Args) != 2 {
			t.Fatalf("%q: not two words: %q", argv, Quote(argv))
		}
		for i, arg := range call.Args {
			var b strings.Builder
			for _, part := range arg.Parts {
				switch part := part.(type) {
				case *syntax.Lit:
					b.WriteString(strings.ReplaceAll(part.Value, `\'`, "'"))
				case *syntax.SglQuoted:
					b.WriteString(part.Value)
				}
			}
			if b.String() != argv[i] {
				t.Fatalf("word %d of %q comes back as %q", i, argv, b.String())
			}
		}
	})
}

func validUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

func BenchmarkClassify(b *testing.B) {
	c := classifier(b)
	lines := corpus(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Classify(lines[i%len(lines)].command, "/bin/sh")
	}
}
