package fleet

// folded is lines of text, each with the hosts that it holds for, in the order of their first host.
type folded struct {
	lines []*foldedLine
	at    map[string]*foldedLine
}

type foldedLine struct {
	text  string
	hosts []string
}

// add says that text holds for host.
func (f *folded) add(host, text string) {
	line, ok := f.at[text]
	if !ok {
		if f.at == nil {
			f.at = map[string]*foldedLine{}
		}
		line = &foldedLine{text: text}
		f.at[text] = line
		f.lines = append(f.lines, line)
	}
	if n := len(line.hosts); n == 0 || line.hosts[n-1] != host {
		line.hosts = append(line.hosts, host)
	}
}
