package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// An override breaks the glass on one host: its ID is HOSTPART-CLIENTPART. The host made its part with its refusal, and holds
// it to machine, boot, state, reason codes, command and class, for ten minutes, once. Ours is a digest over the same and
// the codes that only we know (the rules about the rest of a cluster), so that neither side's reasons can change unseen.

// overrideForm is what such an ID looks like.
var overrideForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{8}$`)

// neverOverridden are the codes that an override does not help against: what belongs to somebody else, and what means that
// the host was not heard or that nothing would be on record.
var neverOverridden = []string{
	"locked", "leased", "no-lock", "no-lease", "changed-meanwhile", "class-unknown", "audit", "report-old", "no-report", "no-verdict",
	"no-decision", "host", "member-locked", "cluster-moved",
}

// validateOverride checks --override and --reason against the rest of the command line.
func (o RunOptions) validateOverride(hosts int) error {
	switch {
	case o.Override == "" && o.Reason == "":
		return nil
	case o.Override == "":
		return Usage("", "--reason goes with --override")
	case !overrideForm.MatchString(o.Override):
		return Usage("it comes with the refusal", "--override %q: this is no override's ID", o.Override)
	case strings.TrimSpace(o.Reason) == "":
		return Usage("", "--override: no --reason: say why the host's refusal does not count, for the audit log")
	case hosts != 1:
		return Usage("", "--override: one host at a time, not %d", hosts)
	}
	return nil
}

// hostPart is what the host gets to see of the override.
func (o RunOptions) hostPart() string {
	part, _, _ := strings.Cut(o.Override, "-")
	return part
}

// breakGlass is the last word on a verdict, after every rule: a refusal that was overridden becomes a yes, and one that can
// be gets the line to type. The host has tried its own part of the override already.
func (r *Run) breakGlass(v verdict, said *checks.Report) verdict {
	if v.kind != refused || said == nil || r.class.Class <= checks.Routine || !overridable(v, said) {
		return v
	}
	part := clientPart(v, said, r.class, r.o.Shell)
	used := said.Facts["override"]
	switch {
	case used != "" && used+"-"+part == r.o.Override:
		v.kind, v.overridden = exited, true
		return v
	case used != "":
		v.reasons = append(slices.Clone(v.reasons), checks.Reason{Code: "override-reasons",
			Text: "the override was given for other reasons; now they are " + strings.Join(allCodes(v, said), ", ")})
	}
	if id := cmp.Or(said.OverrideID, used); id != "" {
		v.glass = r.overrideLine(v.host, id+"-"+part)
	}
	return v
}

// overridable tells whether all reasons are of a kind that a person may overrule.
func overridable(v verdict, said *checks.Report) bool {
	if said.Verdict == "locked" || said.Facts["machine_id"] == "" || said.Facts["boot_id"] == "" {
		return false
	}
	for _, reasons := range [][]checks.Reason{v.reasons, said.Reasons} {
		for _, reason := range reasons {
			if slices.Contains(neverOverridden, reason.Code) {
				return false
			}
		}
	}
	return true
}

// allCodes are the codes of the host's reasons and ours, sorted, each once. What is said about an override is none.
func allCodes(v verdict, said *checks.Report) []string {
	var codes []string
	for _, reasons := range [][]checks.Reason{v.reasons, said.Reasons} {
		for _, reason := range reasons {
			if !strings.HasPrefix(reason.Code, "override-") {
				codes = append(codes, reason.Code)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// clientPart binds an override to what was refused and why, on this machine and boot.
func clientPart(v verdict, said *checks.Report, class policy.Classification, shell string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		"interlock override", said.Facts["machine_id"], said.Facts["boot_id"], string(said.State), class.Class.String(), shell,
		class.Command, strings.Join(allCodes(v, said), ","),
	}, "\x00")))
	return hex.EncodeToString(sum[:4])
}

// overrideLine is what to type: the same command again, with what makes the host ask the same questions.
func (r *Run) overrideLine(host, id string) string {
	given := []string{"--override", id, "--reason", "TEXT"}
	if r.typed != nil {
		return policy.Quote(r.typed.again(given))
	}
	words := append([]string{"interlock", "run"}, given...)
	words = append(words, r.o.words()...)
	words = appendGiven(words, "--allow", strings.Join(r.o.Allow, ","))
	if r.o.Shell != "/bin/sh" {
		words = appendGiven(words, "--shell", r.o.Shell)
	}
	words = append(words, host, "--")
	if len(r.o.Command) > 1 {
		words = append(words, r.o.Command...)
	} else {
		words = append(words, r.class.Command)
	}
	return policy.Quote(words)
}

// appendGiven appends an option that has a value.
func appendGiven(words []string, option, value string) []string {
	if value == "" {
		return words
	}
	return append(words, option, value)
}

// overruled says which reasons were overridden, before the command starts.
func (r *Run) overruled(v verdict) {
	r.s.notef("overridden: %s on %s", report.Visible(r.class.Command), report.Visible(v.host))
	for _, reason := range v.reasons {
		r.s.say(fmt.Sprintf("  in spite of: %s\n", report.Visible(reason.Text)))
	}
}
