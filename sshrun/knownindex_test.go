package sshrun

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// TestKnownIndexAgrees holds the index to what the library finds, over random files.
func TestKnownIndexAgrees(t *testing.T) {
	const seeds = 300
	whole := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		var files []string
		for i := range 1 + r.IntN(3) {
			file := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(file, []byte(randomKnownHosts(r, seed%4 == 0)), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		library, err := knownhosts.NewDB(files...)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var store hostKeyStore
		set, err := store.load(slog.New(slog.DiscardHandler), files)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !set.index.partial {
			whole++
		}
		for range 2 { // a second time over lines whose owner is known
			for _, host := range knownNames {
				for _, port := range []string{"22", "2222"} {
					addr := host + ":" + port
					if strings.Contains(host, ":") {
						addr = "[" + host + "]:" + port
					}
					if got, want := describeAll(set.keys(addr)), describeAll(library.HostKeys(addr)); !slices.Equal(got, want) {
						t.Fatalf("seed %d: %s: the index has %v, the library %v", seed, addr, got, want)
					}
				}
			}
		}
	}
	if whole < seeds/2 {
		t.Errorf("the index was asked in %d of %d files alone", whole, seeds)
	}
}

var knownNames = []string{"a", "b", "c.example", "10.0.0.1", "fe80::1", "A"}

func describeAll(keys []knownhosts.PublicKey) (all []string) {
	for _, k := range keys {
		all = append(all, fmt.Sprint(k.Cert, ssh.FingerprintSHA256(k.PublicKey)))
	}
	return all
}

func randomKnownHosts(r *rand.Rand, patterns bool) string {
	var b strings.Builder
	for range r.IntN(12) {
		var names []string
		for range 1 + r.IntN(3) {
			name := knownNames[r.IntN(len(knownNames))]
			switch r.IntN(4) {
			case 0:
				name = "[" + name + "]:2222"
			case 1:
				if !strings.Contains(name, ":") {
					name += ":2222" // no form of ssh's; the library reads it
				}
			}
			if patterns && r.IntN(6) == 0 {
				name = []string{"*", "?", "!a", "[*]:2222", "10.*"}[r.IntN(5)]
			}
			names = append(names, name)
		}
		hosts := strings.Join(names, ",")
		if r.IntN(3) == 0 {
			hosts = xknownhosts.HashHostname(names[0])
		}
		marker := ""
		if patterns && r.IntN(8) == 0 {
			marker = "@cert-authority "
		}
		var seed [ed25519.SeedSize]byte
		seed[0] = byte(r.IntN(4)) // few keys, so that some come twice
		key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "%s%s %s", marker, hosts, ssh.MarshalAuthorizedKey(key))
	}
	return b.String()
}

func BenchmarkKnownHosts(b *testing.B) {
	var seed [ed25519.SeedSize]byte
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		b.Fatal(err)
	}
	const lines = 5000
	for _, hashed := range []bool{false, true} {
		var text strings.Builder
		for i := range lines {
			name := fmt.Sprintf("[10.0.%d.%d]:2222", i/250, i%250)
			if hashed {
				name = xknownhosts.HashHostname(name)
			}
			fmt.Fprintf(&text, "%s %s", name, ssh.MarshalAuthorizedKey(key))
		}
		file := filepath.Join(b.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("hashed=%v", hashed), func(b *testing.B) {
			var store hostKeyStore
			set, err := store.load(slog.New(slog.DiscardHandler), []string{file})
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				i %= lines
				if len(set.keys(fmt.Sprintf("10.0.%d.%d:2222", i/250, i%250))) != 1 {
					b.Fatal("not found")
				}
			}
		})
	}
}
