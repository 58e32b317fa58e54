package binlog

import "fmt"

// Type is the type of an event as its header states it.
type Type uint8

// The types, as an Event that a Reader yields can have them or a file may hold them. Source: enum
// Log_event_type, libs/mysql/binlog/event/binlog_event.h; sql/log_event.h of MariaDB from 160.
const (
	TypeStartV3            Type = 1
	TypeQuery              Type = 2
	TypeStop               Type = 3
	TypeRotate             Type = 4
	TypeIntvar             Type = 5
	TypeLoad               Type = 6
	TypeSlave              Type = 7
	TypeCreateFile         Type = 8
	TypeAppendBlock        Type = 9
	TypeExecLoad           Type = 10
	TypeDeleteFile         Type = 11
	TypeNewLoad            Type = 12
	TypeRand               Type = 13
	TypeUserVar            Type = 14
	TypeFormatDescription  Type = 15
	TypeXID                Type = 16
	TypeBeginLoadQuery     Type = 17
	TypeExecuteLoadQuery   Type = 18
	TypeTableMap           Type = 19
	TypeWriteRowsV0        Type = 20
	TypeUpdateRowsV0       Type = 21
	TypeDeleteRowsV0       Type = 22
	TypeWriteRowsV1        Type = 23
	TypeUpdateRowsV1       Type = 24
	TypeDeleteRowsV1       Type = 25
	TypeIncident           Type = 26
	TypeHeartbeat          Type = 27
	TypeIgnorable          Type = 28
	TypeRowsQuery          Type = 29
	TypeWriteRows          Type = 30
	TypeUpdateRows         Type = 31
	TypeDeleteRows         Type = 32
	TypeGTID               Type = 33
	TypeAnonymousGTID      Type = 34
	TypePreviousGTIDs      Type = 35
	TypeTransactionContext Type = 36
	TypeViewChange         Type = 37
	TypeXAPrepare          Type = 38
	TypePartialUpdateRows  Type = 39
	TypePayload            Type = 40
	TypeHeartbeatV2        Type = 41
	TypeGTIDTagged         Type = 42

	TypeAnnotateRows           Type = 160
	TypeBinlogCheckpoint       Type = 161
	TypeMariaGTID              Type = 162
	TypeGTIDList               Type = 163
	TypeStartEncryption        Type = 164
	TypeQueryCompressed        Type = 165
	TypeWriteRowsCompressedV1  Type = 166
	TypeUpdateRowsCompressedV1 Type = 167
	TypeDeleteRowsCompressedV1 Type = 168
	TypeWriteRowsCompressed    Type = 169
	TypeUpdateRowsCompressed   Type = 170
	TypeDeleteRowsCompressed   Type = 171
)

// String is the type's name as the servers' documentation has it, with its number where it has none.
func (t Type) String() string {
	if name, ok := typeName(t); ok {
		return name
	}
	return fmt.Sprintf("event type %d", uint8(t))
}

func typeName(t Type) (string, bool) {
	common := [...]string{
		1: "START_EVENT_V3", "QUERY", "STOP", "ROTATE", "INTVAR", "LOAD", "SLAVE", "CREATE_FILE", "APPEND_BLOCK",
		"EXEC_LOAD", "DELETE_FILE", "NEW_LOAD", "RAND", "USER_VAR", "FORMAT_DESCRIPTION", "XID", "BEGIN_LOAD_QUERY",
		"EXECUTE_LOAD_QUERY", "TABLE_MAP", "WRITE_ROWS_V0", "UPDATE_ROWS_V0", "DELETE_ROWS_V0", "WRITE_ROWS_V1",
		"UPDATE_ROWS_V1", "DELETE_ROWS_V1", "INCIDENT", "HEARTBEAT", "IGNORABLE", "ROWS_QUERY", "WRITE_ROWS",
		"UPDATE_ROWS", "DELETE_ROWS", "GTID", "ANONYMOUS_GTID", "PREVIOUS_GTIDS", "TRANSACTION_CONTEXT",
		"VIEW_CHANGE", "XA_PREPARE", "PARTIAL_UPDATE_ROWS", "TRANSACTION_PAYLOAD", "HEARTBEAT_V2", "GTID_TAGGED",
	}
	maria := [...]string{
		"ANNOTATE_ROWS", "BINLOG_CHECKPOINT", "MARIADB_GTID", "GTID_LIST", "START_ENCRYPTION", "QUERY_COMPRESSED",
		"WRITE_ROWS_COMPRESSED_V1", "UPDATE_ROWS_COMPRESSED_V1", "DELETE_ROWS_COMPRESSED_V1",
		"WRITE_ROWS_COMPRESSED", "UPDATE_ROWS_COMPRESSED", "DELETE_ROWS_COMPRESSED",
	}
	switch {
	case t > 0 && int(t) < len(common):
		return common[t], true
	case t >= TypeAnnotateRows && int(t-TypeAnnotateRows) < len(maria):
		return maria[t-TypeAnnotateRows], true
	}
	return "", false
}

// writtenBy refuses types that the servers of the other family alone write: they are read otherwise, or not at all, where
// they cannot be.
func (t Type) writtenBy(f Flavor) error {
	of := f
	switch {
	case t >= TypeAnnotateRows && t <= TypeDeleteRowsCompressed:
		of = MariaDB
	case t >= TypeGTID && t <= TypeGTIDTagged && t != TypeXAPrepare:
		of = MySQL
	}
	if of != f {
		return fmt.Errorf("%s does not write such events, %s does: the file is damaged; take another copy of it", f, of)
	}
	return nil
}

// IsRows tells whether an event of that type, as a Reader yields it, holds row images.
func (t Type) IsRows() bool {
	switch t {
	case TypeWriteRowsV1, TypeUpdateRowsV1, TypeDeleteRowsV1, TypeWriteRows, TypeUpdateRows, TypeDeleteRows, TypePartialUpdateRows:
		return true
	}
	return false
}

// plain is the type that a compressed event of MariaDB has once it is inflated; ok is false for any other.
func (t Type) plain() (plain Type, ok bool) {
	switch {
	case t == TypeQueryCompressed:
		return TypeQuery, true
	case t >= TypeWriteRowsCompressedV1 && t <= TypeDeleteRowsCompressedV1:
		return t - TypeWriteRowsCompressedV1 + TypeWriteRowsV1, true
	case t >= TypeWriteRowsCompressed && t <= TypeDeleteRowsCompressed:
		return t - TypeWriteRowsCompressed + TypeWriteRows, true
	}
	return t, false
}
