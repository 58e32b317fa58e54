package target

import (
	"context"
	"fmt"

	"interlock/replay/binlog"
)

// AllTransactional tells whether all tables of users are InnoDB tables. Schemas of the system do not count: what
// changes those is a statement of its own kind.
func (c *Schema) AllTransactional(ctx context.Context) (bool, error) {
	rows, err := c.query(ctx, `SELECT 1 FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
		AND (engine IS NULL OR engine <> 'InnoDB') AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') LIMIT 1`)
	return len(rows) == 0, err
}

// documentColumn is the column of that name that a table with a full-text index may have, InnoDB's number of the document.
const documentColumn = "FTS_DOC_ID"

// Boundaries tell what of the target's tables makes it matter where one transaction ends and the next begins.
type Boundaries struct {
	FullText bool // InnoDB's full-text indexes: MATCH does not find what its own transaction has written
	Tables   bool // there may be tables whose transactions are to be kept apart: Table.ByTransaction
}

// Boundaries asks InnoDB's own dictionary, which opens no tables. Sources: DICT_FTS, dict0mem.h; DATA_INT and
// DATA_VERS_START, data0type.h (where rows are versioned by time the column is no integer).
//
// MariaDB keeps them apart for versions by transaction, of which a row that comes and goes in one leaves none; MySQL for
// documents that the table numbers itself, see readIndexes.
func (c *Schema) Boundaries(ctx context.Context) (b Boundaries, err error) {
	has := func(what string) (bool, error) {
		rows, err := c.query(ctx, "SELECT 1 FROM information_schema."+what+" LIMIT 1")
		if err != nil {
			err = fmt.Errorf("look for full-text indexes and versions: %w", advise(err, "grant PROCESS"))
		}
		return len(rows) > 0, err
	}
	if c.server.Flavor == binlog.MySQL {
		if b.FullText, err = has("INNODB_INDEXES WHERE TYPE = 32"); b.FullText {
			b.Tables, err = has("COLUMNS WHERE COLUMN_NAME = '" + documentColumn + "'")
		}
		return b, err
	}
	if b.FullText, err = has("INNODB_SYS_INDEXES WHERE TYPE = 32"); err == nil {
		b.Tables, err = has("INNODB_SYS_COLUMNS WHERE MTYPE = 6 AND PRTYPE & 16384")
	}
	return b, err
}
