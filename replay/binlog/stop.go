package binlog

import (
	"errors"
	"fmt"
)

// place is a position by its file's number. That of no file, behind the last one, is the end of a log.
type place struct {
	number int
	offset uint64
}

// errStopped is the end that StopAt has set.
var errStopped = errors.New("end of the range")

// StopAt makes Next end at a position as it does at the end of the log: no event between transactions that lies there
// or behind is read. A transaction that the position lies inside of still is, to its end. The zero position is the end
// of the log.
func (r *Reader) StopAt(to Position) error {
	r.stop = place{number: len(r.log.Files)}
	if to == (Position{}) {
		return nil
	}
	number := r.log.find(to.File)
	if number < 0 {
		return fmt.Errorf("read up to %s: no file of that name is in the log", to)
	}
	r.stop = place{number, to.Offset}
	return nil
}

// Stopped tells whether the next event lies where StopAt has set the end, or behind.
func (r *Reader) Stopped() bool {
	if r.group == nil || r.group.state != betweenTxns || r.number < r.stop.number {
		return false
	}
	return r.number > r.stop.number || uint64(r.scan.offset) >= r.stop.offset
}

// stopBefore is the remedy for what cannot be replayed, where a position is that of an event between transactions:
// nothing from there on is read then.
func stopBefore(p Position) string { return fmt.Sprintf("replay up to it with --stop-position %s", p) }

// remedy adds to an error in an event how to replay what lies before: up to the start of the event's transaction.
func (r *Reader) remedy(err error, joint string, start Position) error {
	if r.group.passing {
		return err // the range begins behind it
	}
	return fmt.Errorf("%w%s%s", err, joint, stopBefore(start))
}
