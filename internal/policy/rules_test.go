package policy

import (
	"strings"
	"testing"

	"interlock/checks"
)

func TestHouseRules(t *testing.T) {
	c := classifier(t,
		Rule{Match: "chef-client **", Class: checks.Routine, OnUnknown: true, Origin: "hosts.toml:1"},
		Rule{Match: "chef-client --once *", Class: checks.Disruptive, Origin: "hosts.toml:2"},
		Rule{Match: "perform_upgrade **", Class: checks.Destructive, Origin: "hosts.toml:3"},
		Rule{Match: "cat /etc/secret", Class: checks.Destructive, Origin: "hosts.toml:4"},
		Rule{Match: "smartctl -a *", Class: checks.Routine, Origin: "hosts.toml:5"},
		Rule{Match: "sudo perform_upgrade", Class: checks.Routine, Origin: "hosts.toml:6"},
		Rule{Match: "/opt/bin/rotate", Class: checks.Routine, OnUnknown: true, Origin: "hosts.toml:7"},
		Rule{Match: "echo stop", Class: checks.Disruptive, Origin: "hosts.toml:8"},
	)
	for _, tt := range []struct {
		command   string
		class     checks.Class
		onUnknown bool
	}{
		{"chef-client", checks.Routine, true},
		{"sudo -n chef-client -j x", checks.Routine, true},
		{"/usr/bin/chef-client", checks.Routine, true},
		{"/tmp/chef-client", checks.Destructive, false},
		{"sh -c 'chef-client'", checks.Routine, true},
		{"chef-client --once x", checks.Disruptive, false},
		{"chef-client; uptime", checks.Routine, true},
		{"chef-client; smartctl -a /dev/sda", checks.Routine, false},
		{"chef-client; rm x", checks.Destructive, false},
		{"chef-client > /tmp/x", checks.Destructive, false},
		{"X=1 chef-client", checks.Destructive, false},
		{`chef-client "$x"`, checks.Destructive, false},
		{"chef-client *", checks.Destructive, false},
		{"chef-client $(rm x)", checks.Destructive, false},
		{"cat /etc/secret", checks.Destructive, false},
		{"cat /etc/hosts", checks.ReadOnly, false},
		{"perform_upgrade", checks.Destructive, false},
		{"sudo perform_upgrade", checks.Destructive, false}, // the strictest match wins, the inner one here
		{"/opt/bin/rotate", checks.Routine, true},
		{"/opt/bin/rotate now", checks.Destructive, false},
		{"smartctl -a /dev/sda", checks.Routine, false},
		{"smartctl -t long /dev/sda", checks.Destructive, false},
		{"echo go", checks.ReadOnly, false},
		{"echo stop", checks.Disruptive, false},
		{`echo "$x"`, checks.Disruptive, false}, // may be the one that is declared
	} {
		got := c.Classify(tt.command, "/bin/sh")
		if got.Class != tt.class || got.OnUnknown != tt.onUnknown {
			t.Errorf("%q: %s, on unknown %v; want %s, %v (%s)", tt.command, got.Class, got.OnUnknown, tt.class, tt.onUnknown, reasons(got))
		}
	}
}

func TestRuleErrors(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want string
	}{
		{Rule{Match: "  "}, "empty"},
		{Rule{Match: "**"}, "must name the program"},
		{Rule{Match: "* x"}, "star"},
		{Rule{Match: "x ** y"}, "last word"},
		{Rule{Match: "x y*"}, "star"},
		{Rule{Match: "x; y"}, "plain word"},
		{Rule{Match: "x 'y z'"}, "plain word"},
		{Rule{Match: "x", Class: checks.ReadOnly}, "proven"},
		{Rule{Match: "x", Class: checks.Class(7)}, "cannot be declared"},
		{Rule{Match: "x", Class: checks.Disruptive, OnUnknown: true}, "on_unknown"},
		{Rule{Match: "sh -c *", Class: checks.Routine}, "runs the code"},
		{Rule{Match: "/bin/bash **", Class: checks.Disruptive}, "runs the code"},
		{Rule{Match: "sudo **", Class: checks.Routine}, "runs other commands"},
	} {
		if tt.rule.Class == 0 && tt.want != "proven" {
			tt.rule.Class = checks.Routine
		}
		tt.rule.Origin = "hosts.toml:12"
		_, err := NewClassifier([]Rule{tt.rule})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "hosts.toml:12: ") {
			t.Errorf("%+v: %v, want %q", tt.rule, err, tt.want)
		}
	}
}

func TestMisplacedSelector(t *testing.T) {
	keys := func(s string) bool { return s == "hwclass" || s == "HWClass" }
	for command, want := range map[string]bool{
		"lifecycle=reinstall perform_upgrade":         true,
		"lifecycle=reinstall":                         true,
		"  'hwclass=database' x":                      true,
		"HWClass=database x":                          true,
		"dc.site=ams x":                               true,
		"DEBIAN_FRONTEND=noninteractive apt-get -y x": false,
		"DC=ams x":            false,
		"apt-get install a=1": false,
		"x == y":              false,
		"=x":                  false,
		"/a=b x":              false,
		"":                    false,
	} {
		err := MisplacedSelector(command, keys)
		if (err != nil) != want {
			t.Errorf("%q: %v, want an error: %v", command, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "selector") {
			t.Errorf("%q: %v does not name the likely mistake", command, err)
		}
	}
	if err := MisplacedSelector("a=b", nil); err == nil {
		t.Error("without an inventory: a=b passes")
	}
}
