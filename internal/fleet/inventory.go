package fleet

import (
	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
)

// loadInventory finds and reads hosts.toml; no file at all is an inventory of defaults.
func loadInventory(explicit string) (*hosts.Inventory, error) {
	path, err := hosts.Find(explicit)
	if err != nil {
		return nil, configError(err)
	}
	inv, err := hosts.Load(path)
	if err != nil {
		return nil, configError(err)
	}
	return inv, nil
}

// expand resolves a set of hosts. What does not resolve is a mistake of the command line.
func expand(inv *hosts.Inventory, set string) ([]string, error) {
	names, err := inv.Expand(set)
	if err != nil {
		return nil, &Error{Status: ExitUsage, Err: err}
	}
	if len(names) == 0 {
		return nil, Usage("", "set of hosts %q: empty", set)
	}
	return names, nil
}

// newClassifier makes the classifier with the house's own rules.
func newClassifier(inv *hosts.Inventory) (*policy.Classifier, error) {
	rules := make([]policy.Rule, 0, len(inv.Commands))
	for _, c := range inv.Commands {
		class, err := checks.ParseClass(c.Class)
		if err != nil {
			return nil, configError(err)
		}
		rules = append(rules, policy.Rule{Match: c.Match, Class: class, OnUnknown: c.OnUnknown, Origin: c.Origin})
	}
	classifier, err := policy.NewClassifier(rules)
	if err != nil {
		return nil, configError(err)
	}
	return classifier, nil
}

// shellLine is the line that the host's shell gets: several words are an argv and are quoted word by word,
// a single one is a shell line already.
func shellLine(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return policy.Quote(words)
}
