package binlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// grouper puts events together to transactions: it is shown one event after the other and says when one is
// whole. Survey and Reader share it, so that they cannot disagree.
type grouper struct {
	file   *File
	format *Format
	state  groupState
	txn    Txn
	begin  begin

	inflater *inflater
	passing  bool // what cannot be replayed is passed over: it lies before the range
}

type groupState uint8

const (
	betweenTxns groupState = iota
	begun                  // after its GTID; what it is, its first statement tells
	inside                 // between BEGIN and its end
	insideXA               // between XA START and XA PREPARE
)

// add takes the next event, whose body has no checksum and which lies at [at, end) of the file; events of a
// compressed payload lie where that does. whole says that the transaction ends with it.
func (g *grouper) add(h *Header, body []byte, at, end int64) (whole bool, err error) {
	whole, err = g.take(h, body, at)
	if err != nil {
		return false, fmt.Errorf("%s event at %s: %w", h.Type, g.file.at(at), err)
	}
	if g.state != betweenTxns {
		g.txn.Events++
	}
	if whole {
		g.finish(h, end)
	}
	return whole, nil
}

// finish completes the transaction that ends at end.
func (g *grouper) finish(h *Header, end int64) {
	g.txn.End = g.file.at(end)
	g.txn.Bytes = end - int64(g.txn.Start.Offset)
	g.txn.Committed = fromMicros(g.begin.commit.OriginalMicros)
	if g.txn.Committed.IsZero() {
		g.txn.Committed = time.Unix(int64(h.Timestamp), 0).UTC()
	}
	g.state = betweenTxns
}

// open begins a transaction.
func (g *grouper) open(h *Header, at int64) {
	g.state = begun
	g.begin = begin{}
	g.txn = Txn{Start: g.file.at(at), ServerID: h.ServerID}
}

// take does the work of add.
func (g *grouper) take(h *Header, body []byte, at int64) (whole bool, err error) {
	if err := h.Type.writtenBy(g.format.Flavor); err != nil {
		return false, g.unlessPassing(err)
	}
	switch h.Type {
	case TypeGTID, TypeAnonymousGTID, TypeGTIDTagged, TypeMariaGTID:
		return false, g.takeGTID(h, body, at)
	case TypeFormatDescription, TypePreviousGTIDs, TypeRotate, TypeStop, TypeGTIDList:
		if g.state != betweenTxns {
			return false, fmt.Errorf("it comes inside the transaction that begins at %s%s: the server stopped in the middle of it",
				g.txn.Start, gtidWords(g.txn.GTID))
		}
		return false, nil
	case TypeBinlogCheckpoint, TypeHeartbeat, TypeHeartbeatV2, TypeIgnorable:
		return false, nil
	}
	ignored, err := refuse(h, body)
	if err != nil || ignored {
		return false, g.unlessPassing(err)
	}
	if g.state == betweenTxns {
		g.open(h, at)
	}
	switch h.Type {
	case TypeQuery, TypeQueryCompressed:
		return g.takeQuery(h, body)
	case TypeXID:
		if g.state != inside {
			return false, fmt.Errorf("it ends a transaction that has not begun")
		}
		g.txn.Ending = EndXID
		return true, nil
	case TypeXAPrepare:
		return true, g.takePrepare(body)
	}
	if plain, _ := h.Type.plain(); plain.IsRows() {
		if g.state == begun {
			return false, fmt.Errorf("rows outside of a transaction")
		}
		g.txn.HasRows = true
	}
	return false, nil // table maps, INTVAR and their like, comments
}

// unlessPassing is the error of what cannot be replayed, but before the range.
func (g *grouper) unlessPassing(err error) error {
	if g.passing {
		return nil
	}
	return err
}

// position is where the transaction begins that the next event, at an offset, belongs to: the event itself between two.
func (g *grouper) position(at int64) Position {
	if g.state == betweenTxns {
		return g.file.at(at)
	}
	return g.txn.Start
}

func (g *grouper) takeGTID(h *Header, body []byte, at int64) error {
	if g.state != betweenTxns {
		return fmt.Errorf("a transaction begins inside the one that begins at %s%s", g.txn.Start, gtidWords(g.txn.GTID))
	}
	b, err := parseBegin(h, body)
	if err != nil {
		return err
	}
	g.open(h, at)
	g.begin = b
	t := &g.txn
	t.GTID, t.XID = b.gtid, b.xid
	if h.Type != TypeMariaGTID {
		return nil
	}
	t.Standalone, t.Transactional, t.DDL = b.flags&mariaStandalone != 0, b.flags&mariaTransactional != 0, b.flags&mariaDDL != 0
	t.StartAlter, t.CommitAlter, t.RollbackAlter = b.alter&mariaStartAlter != 0, b.alter&mariaCommitAlter != 0, b.alter&mariaRollbackAlter != 0
	switch {
	case t.Standalone:
	case b.flags&mariaPreparedXA != 0:
		g.state = insideXA
	case b.flags&mariaCompletedXA != 0:
		// XA COMMIT or XA ROLLBACK follows, which stands alone.
	default:
		g.state = inside
	}
	return nil
}

// takeQuery looks at a statement's verb.
func (g *grouper) takeQuery(h *Header, body []byte) (whole bool, err error) {
	if h.Type == TypeQueryCompressed {
		if body, err = g.inflater.query(g.format, body); err != nil {
			return false, err
		}
	}
	parts, err := splitQuery(g.format, TypeQuery, body)
	if err != nil {
		return false, err
	}
	verb := verbOf(parts.sql)
	g.txn.CreatesTemporary = g.txn.CreatesTemporary || verb == VerbCreateTemporary
	if code := binary.LittleEndian.Uint16(body[9:]); code != 0 {
		g.txn.FailedWith = code
	}
	g.txn.ByPlace = g.txn.ByPlace || byPlace(verb, parts.sql)
	if g.state == begun {
		return g.takeFirst(verb, parts.sql)
	}
	switch verb {
	case VerbBegin:
		return false, fmt.Errorf("BEGIN inside a transaction that begins at %s", g.txn.Start)
	case VerbCommit, VerbRollback:
		if g.state != inside {
			return false, fmt.Errorf("%q inside an XA transaction", parts.sql)
		}
		g.txn.Ending = EndCommit
		if verb == VerbRollback {
			g.txn.Ending = EndRollback
		}
		return true, nil
	case VerbSavepoint, VerbRollbackTo:
		g.txn.HasSavepoints = true
	case VerbXAEnd, VerbXAStart:
		if g.state != insideXA {
			return false, fmt.Errorf("%q outside of an XA transaction", parts.sql)
		}
	case VerbXACommit, VerbXARollback, VerbXAPrepare:
		return false, fmt.Errorf("%q inside a transaction", parts.sql)
	default:
		g.txn.HasStatements = true
		if g.format.Flavor == MySQL && verb == VerbOther && createsWithRows(parts.sql) {
			g.txn.CreateSelect = true
		}
	}
	return false, nil
}

// takeFirst takes a statement that is the first of its transaction, or alone.
func (g *grouper) takeFirst(verb Verb, sql []byte) (whole bool, err error) {
	switch verb {
	case VerbBegin:
		g.state = inside
		return false, nil
	case VerbXAStart:
		g.state = insideXA
		g.txn.XID, err = xidOf(sql)
		return false, err
	case VerbXACommit, VerbXARollback:
		g.txn.XARollback = verb == VerbXARollback
		if g.txn.XID, err = xidOf(sql); err != nil {
			return false, err
		}
	case VerbCommit, VerbRollback, VerbXAEnd, VerbXAPrepare:
		return false, fmt.Errorf("%q outside of a transaction", sql)
	default:
		g.txn.HasStatements = true
	}
	g.txn.Ending = EndBare
	return true, nil
}

// takePrepare reads an XA PREPARE: 1 byte, set for ONE PHASE, format id 4, lengths of the parts of the XID 4
// each, the parts. Source: XA_prepare_event, libs/mysql/binlog/event/control_events.h.
func (g *grouper) takePrepare(body []byte) error {
	if g.state != insideXA {
		return fmt.Errorf("it ends an XA transaction that has not begun")
	}
	c := cutter{rest: body}
	onePhase, fixed := c.byte(), c.take(12)
	if c.err != nil {
		return c.err
	}
	gtridLen, bqualLen := binary.LittleEndian.Uint32(fixed[4:]), binary.LittleEndian.Uint32(fixed[8:])
	if gtridLen > 64 || bqualLen > 64 {
		return fmt.Errorf("XID of %d and %d bytes: 64 are the most", gtridLen, bqualLen)
	}
	gtrid, bqual := c.take(int(gtridLen)), c.take(int(bqualLen))
	if c.err != nil {
		return c.err
	}
	// MySQL's format ids are unsigned.
	format := binary.LittleEndian.Uint32(fixed)
	xid := formatXID(gtrid, bqual, int64(format))
	if g.txn.XID != xid && g.txn.XID != formatXID(gtrid, bqual, int64(int32(format))) {
		return fmt.Errorf("it prepares %s in the transaction of %s", xid, g.txn.XID)
	}
	g.txn.Ending = EndPrepare
	if onePhase != 0 {
		g.txn.Ending = EndOnePhase
	}
	return nil
}

// incomplete says in words what is open, empty when nothing is.
func (g *grouper) incomplete() string {
	if g.state == betweenTxns {
		return ""
	}
	return fmt.Sprintf("the transaction that begins at %s%s has no end", g.txn.Start, gtidWords(g.txn.GTID))
}

func gtidWords(g GTID) string {
	if g == (GTID{}) {
		return ""
	}
	return " (" + g.String() + ")"
}

// refuse returns an error for events that are known and cannot be replayed, and for unknown ones that may not
// be ignored; ignored are those that may.
func refuse(h *Header, body []byte) (ignored bool, err error) {
	switch h.Type {
	case TypeQuery, TypeIntvar, TypeRand, TypeUserVar, TypeXID, TypeTableMap,
		TypeWriteRowsV1, TypeUpdateRowsV1, TypeDeleteRowsV1, TypeRowsQuery,
		TypeWriteRows, TypeUpdateRows, TypeDeleteRows, TypeTransactionContext, TypeViewChange,
		TypeXAPrepare, TypePartialUpdateRows, TypeAnnotateRows, TypeQueryCompressed,
		TypeWriteRowsCompressedV1, TypeUpdateRowsCompressedV1, TypeDeleteRowsCompressedV1,
		TypeWriteRowsCompressed, TypeUpdateRowsCompressed, TypeDeleteRowsCompressed:
		return false, nil
	case TypeBeginLoadQuery, TypeAppendBlock, TypeExecuteLoadQuery, TypeDeleteFile,
		TypeLoad, TypeNewLoad, TypeCreateFile, TypeExecLoad:
		return false, fmt.Errorf("LOAD DATA logged as a statement is not supported: apply this transaction with mysqlbinlog and go on behind it")
	case TypeIncident:
		return false, fmt.Errorf("the source lost changes here%s: nothing behind it can be relied on; take a newer backup", incidentWords(body))
	case TypeStartEncryption:
		return false, errEncryptedMariaDB
	case TypePayload:
		return false, fmt.Errorf("a compressed transaction inside of another one")
	case TypeStartV3, TypeSlave, TypeWriteRowsV0, TypeUpdateRowsV0, TypeDeleteRowsV0:
		return false, fmt.Errorf("only servers older than MySQL 5.1 write such events: replay them with mysqlbinlog")
	}
	if h.Flags&flagIgnorable != 0 {
		return true, nil
	}
	return false, fmt.Errorf("events of this type are not known, and it may not be ignored: the server is newer than this program")
}

// incidentWords is the message of an incident: number 2, length 1, text.
func incidentWords(body []byte) string {
	if len(body) < 3 || len(body) < 3+int(body[2]) || body[2] == 0 {
		return ""
	}
	return fmt.Sprintf(" (%q)", body[3:3+int(body[2])])
}

// addPayload shows the events of a compressed transaction, all of which lie at [at, end) of the file. The
// transaction has to end with the last of them.
func (g *grouper) addPayload(ctx context.Context, body []byte, at, end int64) error {
	if err := TypePayload.writtenBy(g.format.Flavor); err != nil {
		return err
	}
	if g.state != begun {
		return fmt.Errorf("a compressed transaction without its GTID event before it")
	}
	p, err := g.inflater.payload(ctx, body)
	if err != nil {
		return err
	}
	whole := false
	for {
		h, err := p.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if whole {
			return fmt.Errorf("a %s event follows the end of its transaction", h.Type)
		}
		var body []byte
		if !h.Type.IsRows() && h.Type != TypeTableMap {
			raw, err := p.peek()
			if err != nil {
				return err
			}
			body = raw[HeaderLen:]
		}
		if whole, err = g.add(&h, body, at, end); err != nil {
			return err
		}
	}
	if !whole {
		return fmt.Errorf("its transaction does not end in it")
	}
	return nil
}
