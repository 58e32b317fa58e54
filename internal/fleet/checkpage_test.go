package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/wholefile"
)

// paperFleet is a check of hosts that are only written down: clusters of a primary and two replicas, and a
// third as many hosts in none. Every bad-th cluster has something wrong with it, a different thing each time.
func paperFleet(t *testing.T, clusters, bad int) (*Check, *checked) {
	t.Helper()
	var toml strings.Builder
	c := &Check{o: CheckOptions{Hosts: "@all", Expect: true}, site: &site{}}
	r := &checked{at: time.Date(2014, 1, 10, 17, 30, 0, 0, time.UTC), took: 3210 * time.Millisecond}
	for i := range clusters {
		name := fmt.Sprintf("%s%d", []string{"users", "orders", "billing", "search", "mail"}[i%5], i/5+1)
		host := func(n int) string { return fmt.Sprintf("%s-db%d", name, n) }
		fmt.Fprintf(&toml, "[clusters.%s]\nhosts = [\"%s-db[1-3]\"]\nprimary = %q\nreplicas = [%q, %q]\n", name, name, host(1), host(2), host(3))
		members := []finding{paperPrimary(host(1), i), paperReplica(host(2), host(1), i), paperReplica(host(3), host(1), i)}
		if bad > 0 && i%bad == 0 {
			spoil(members, i/bad)
		}
		r.hosts = append(r.hosts, members...)
	}
	for i := range clusters {
		f := finding{host: fmt.Sprintf("app%03d", i+1), report: &checks.Report{State: checks.Clear}}
		if bad > 0 && i == clusters/2 {
			f.report = &checks.Report{State: checks.Unknown, Reasons: []checks.Reason{{Code: "no-root", Text: "neither root nor sudo -n: sudo: a password is required", Remedy: "ops ALL=(root) NOPASSWD: /bin/sh -s"}}}
		}
		r.hosts = append(r.hosts, f)
	}
	path := filepath.Join(t.TempDir(), "hosts.toml")
	if err := os.WriteFile(path, []byte(toml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := hosts.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c.site.inv = inv
	for _, f := range r.hosts {
		c.names = append(c.names, f.host)
	}
	if err := c.wholeClusters(); err != nil {
		t.Fatal(err)
	}
	c.judge(r)
	return c, r
}

func instance(host string, state checks.State, i int) checks.Instance {
	clients, writes, uptime, data := 14+i%7, 340.5/float64(i%9+1), time.Duration(i%50+1)*7*time.Hour, int64(i%30+1)*21_400_000_000
	return checks.Instance{
		State: state, PID: 411, Product: "mysql", Version: fmt.Sprintf("8.0.%d", 36+i%3), Port: 3306, UUID: "uuid-" + host, ServerID: "1",
		Clients: &clients, WritesPerSec: &writes, Uptime: &uptime, DataBytes: &data,
	}
}

func paperPrimary(host string, i int) finding {
	in := instance(host, checks.Primary, i)
	in.ReadOnly = "off"
	for n := 2; n <= 3; n++ {
		in.Replicas = append(in.Replicas, checks.ReplicaRef{UUID: "uuid-" + strings.TrimSuffix(host, "1") + fmt.Sprint(n)})
	}
	return finding{host: host, report: &checks.Report{State: checks.Primary, Instances: []checks.Instance{in},
		Reasons: []checks.Reason{{Code: "has-replicas", Text: "mysql on 3306 has 2 replicas and 14 clients", Remedy: "move its replicas to another source first"}}}}
}

func paperReplica(host, source string, i int) finding {
	in := instance(host, checks.Replica, i)
	lag := time.Duration(i%4) * time.Second
	in.ReadOnly = "super"
	in.Sources = []checks.Source{{Host: source, Port: 3306, UUID: "uuid-" + source, IORunning: "Yes", SQLRunning: "Yes", Lag: &lag}}
	return finding{host: host, report: &checks.Report{State: checks.Replica, Instances: []checks.Instance{in},
		Reasons: []checks.Reason{{Code: "replica", Text: "mysql on 3306 replicates from " + source + ":3306", Remedy: "--allow replica, where the cluster can spare it"}}}}
}

// spoil makes one thing wrong with a cluster.
func spoil(members []finding, kind int) {
	replica := &members[1].report.Instances[0]
	switch kind % 7 {
	case 0: // primary moved
		members[1] = paperPrimary(members[1].host, kind)
		members[1].report.Instances[0].Replicas = []checks.ReplicaRef{{UUID: "uuid-" + members[2].host}}
		members[2] = paperReplica(members[2].host, members[1].host, kind)
		members[0] = finding{host: members[0].host, err: errors.New("connect: dial tcp 10.0.4.17:22: connect: connection timed out")}
	case 1:
		lag := 412 * time.Second
		replica.Sources[0].Lag = &lag
	case 2:
		replica.Sources[0].SQLRunning = "No"
		replica.Sources[0].Error = "Coordinator stopped because there were error(s) in the worker(s). Could not execute Write_rows event on table shop.orders; Duplicate entry '4711' for key 'PRIMARY'"
	case 3:
		members[2].report = &checks.Report{State: checks.Unknown, Reasons: []checks.Reason{{Code: "no-login", Text: "mysql on 3306: no login worked: ERROR 1045 (28000): Access denied for user 'root'@'localhost'", Remedy: "name a defaults file with mysql_defaults_file"}}}
	case 4:
		replica.ReadOnly = "off"
		replica.State, members[1].report.State = checks.Primary, checks.Primary
	case 5:
		members[2].report = &checks.Report{State: checks.Clear}
	case 6:
		p := &members[0].report.Instances[0]
		p.Replicas = append(p.Replicas, checks.ReplicaRef{UUID: "9f0c1f3a-6a5e-11f0-8b0e-0242ac110002", Host: "10.9.9.9"})
	}
}

// chromium runs the browser on an address and gives what it prints.
func chromium(t *testing.T, address string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + t.TempDir(), "--hide-scrollbars"}, flags...)
	cmd := exec.CommandContext(ctx, "chromium", append(args, address)...)
	cmd.WaitDelay = 5 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v: %s", err, stderr.String())
	}
	return string(out)
}

func writePage(t *testing.T, c *Check, r *checked, path string) {
	t.Helper()
	if err := wholefile.Write(path, 0o644, func(w io.Writer) error { return c.page(r).Write(w) }); err != nil {
		t.Fatal(err)
	}
}

// TestPageScreens writes pages of several sizes into $INTERLOCK_PAGES, for people to look at.
func TestPageScreens(t *testing.T) {
	dir := os.Getenv("INTERLOCK_PAGES")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, size := range []struct {
		name          string
		clusters, bad int
	}{{"6", 2, 2}, {"fine", 2, 0}, {"60", 15, 1}, {"1000", 250, 100}} {
		c, r := paperFleet(t, size.clusters, size.bad)
		writePage(t, c, r, filepath.Join(dir, "page-"+size.name+".html"))
	}
}

// TestPageInABrowser looks at what a real browser makes of the page.
func TestPageInABrowser(t *testing.T) {
	c, r := paperFleet(t, 14, 2)
	const hostile = `</code><script>document.title="x"</script><img src="http://evil.example/x.png" onerror=alert(1)>` + "\x1b[2J"
	r.hosts[4].report.Reasons[0].Text = hostile
	r.hosts[4].report.Instances[0].Version = hostile
	path := filepath.Join(t.TempDir(), "page.html")
	writePage(t, c, r, path)

	t.Run("with its script", func(t *testing.T) {
		dom, asked := watched(t, "file://"+path)
		if strings.Contains(asked, "evil.example") {
			t.Errorf("the page fetched %s", asked)
		}
		if got := headings(dom); len(got) != 8 {
			t.Errorf("cards: %v", got)
		}
		levels := regexp.MustCompile(`<article class="card (\w+)"`).FindAllStringSubmatch(dom, -1)
		var order []string
		for _, l := range levels {
			order = append(order, l[1])
		}
		if text := strings.Join(order, " "); !regexp.MustCompile(`^(critical )+(warning ?)+$`).MatchString(text) {
			t.Errorf("not the worst first: %s", text)
		}
		if strings.Contains(dom, `<p class="filter" hidden`) {
			t.Error("the script did not run: the filter is hidden")
		}
		if strings.Contains(dom, "<img") || strings.Count(dom, "<script") != 1 || !strings.Contains(dom, "&lt;script&gt;document.title") || strings.Contains(dom, "\x1b") {
			t.Error("what a host said is not shown as text")
		}
		if n := strings.Count(dom, `<details class="member`); n != len(r.hosts) {
			t.Errorf("%d members, want %d", n, len(r.hosts))
		}
	})
	t.Run("filtered", func(t *testing.T) {
		dom := chromium(t, "file://"+path+"#mail%20replica", "--dump-dom")
		if !regexp.MustCompile(`<output id="shown">\d hosts</output>`).MatchString(dom) {
			t.Errorf("no count: %s", regexp.MustCompile(`<output.*?</output>`).FindString(dom))
		}
		for _, card := range regexp.MustCompile(`<article[^>]*>\s*<h3>\w+`).FindAllString(dom, -1) {
			if hidden := strings.Contains(card, "hidden"); hidden == strings.Contains(card, "<h3>mail") {
				t.Errorf("filtered wrongly: %s", card)
			}
		}
	})
	t.Run("a page that fetches is seen to", func(t *testing.T) {
		control := filepath.Join(t.TempDir(), "control.html")
		if err := os.WriteFile(control, []byte(`<img src="http://evil.example/x.png">`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, asked := watched(t, "file://"+control); !strings.Contains(asked, "http://evil.example/x.png") {
			t.Errorf("it was not: %q", asked)
		}
	})
	t.Run("without a script", func(t *testing.T) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `<p class="filter" hidden>`) || strings.Count(string(text), `<details class="member`) != len(r.hosts) {
			t.Error("before a script has run the page is not whole, or shows a filter that does nothing")
		}
	})
}

func headings(dom string) (names []string) {
	for _, m := range regexp.MustCompile(`<h3>([\w ]+)`).FindAllStringSubmatch(dom, -1) {
		names = append(names, strings.TrimSpace(m[1]))
	}
	return names
}

// watched gives the page as the browser holds it in the end, and what the browser asked a proxy for.
func watched(t *testing.T, address string) (dom, asked string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, q.URL.String())
		http.Error(w, "no", http.StatusNotFound)
	}))
	dom = chromium(t, address, "--dump-dom", "--proxy-server="+proxy.URL)
	proxy.Close()
	mu.Lock()
	defer mu.Unlock()
	return dom, strings.Join(all, " ")
}

// TestPageContrast holds every text's colour against the grounds that it stands on (WCAG 2.1, 1.4.3: 4.5 to 1).
func TestPageContrast(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "report", "page.css"))
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(text), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	dark, _, _ = strings.Cut(dark, "\n}")
	for name, style := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(style, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		pairs := map[string][]string{"bad-soft": {"bad"}, "warn-soft": {"warn"}, "hover": {"ink", "soft", "primary", "replica", "idle", "clear", "stopped", "proxy", "warn", "bad"}}
		pairs["card"] = pairs["hover"]
		pairs["paper"] = pairs["hover"]
		for ground, inks := range pairs {
			for _, ink := range inks {
				a, b := colours[ink], colours[ground]
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("%s: %s on %s: %.2f to 1", name, ink, ground, ratio)
				}
			}
		}
	}
}

// luminance is the relative luminance of a colour (WCAG 2.1, definitions).
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var rgb [3]uint8
	if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(rgb[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
