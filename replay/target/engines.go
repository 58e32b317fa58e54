package target

import "context"

// AllTransactional tells whether all tables of users are InnoDB tables. Schemas of the system do not count: what
// changes those is a statement of its own kind.
func (c *Schema) AllTransactional(ctx context.Context) (bool, error) {
	rows, err := c.query(ctx, `SELECT 1 FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
		AND (engine IS NULL OR engine <> 'InnoDB') AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') LIMIT 1`)
	return len(rows) == 0, err
}
