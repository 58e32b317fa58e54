package fold

import (
	"encoding/binary"
	"hash"
)

// Digest writes an outcome to a hash: the table, and of every net change in order its kind, context, count,
// columns and images. Two outcomes with the same digest are applied the same way.
func (o *Outcome) Digest(h hash.Hash) {
	d := digester{h: h, buf: make([]byte, 0, 4096)}
	d.bytes([]byte(o.Table.Name))
	d.number(o.AutoIncrement)
	for _, list := range [][]Change{o.Goes, o.Comes} {
		d.number(uint64(len(list)))
		for i := range list {
			c := &list[i]
			d.number(uint64(c.Kind))
			d.number(uint64(c.Context))
			d.number(uint64(c.Count))
			d.bytes(c.BeforeCols)
			d.bytes(c.AfterCols)
			d.bytes(c.Before)
			d.bytes(c.After)
		}
	}
	d.flush()
}

// digester hands small pieces to a hash in large ones.
type digester struct {
	h   hash.Hash
	buf []byte
}

func (d *digester) number(n uint64) {
	if len(d.buf)+binary.MaxVarintLen64 > cap(d.buf) {
		d.flush()
	}
	d.buf = binary.AppendUvarint(d.buf, n)
}

func (d *digester) bytes(b []byte) {
	d.number(uint64(len(b)))
	if len(d.buf)+len(b) > cap(d.buf) {
		d.flush()
	}
	if len(b) > cap(d.buf) {
		d.h.Write(b) // a hash's Write never fails
		return
	}
	d.buf = append(d.buf, b...)
}

func (d *digester) flush() {
	d.h.Write(d.buf)
	d.buf = d.buf[:0]
}
