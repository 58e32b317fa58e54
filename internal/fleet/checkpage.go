package fleet

import "interlock/internal/report"

func (c *Check) page(r *checked) *report.Page {
	return &report.Page{Title: "interlock check " + c.o.Hosts, At: r.at}
}
