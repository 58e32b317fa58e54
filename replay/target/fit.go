package target

import "interlock/replay/binlog"

// Fit tells whether rows of the log's layout are rows of the table: number, types, nullability and sign of
// columns. The error names the first column that differs and what to do.
func (t *Table) Fit(layout *binlog.Table) error { return errNotBuilt }
