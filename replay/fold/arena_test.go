package fold

import (
	"bytes"
	"testing"
)

// Blocks never share bytes, whatever their sizes and their order: one that fills a slab of its own must not leave
// that slab open for the next one.
func TestArenaBlocksAreApart(t *testing.T) {
	sizes := []int{slabBytes / 2, slabBytes / 2, 100, 2 * slabBytes, 16, slabBytes / 4, firstSlabBytes, slabBytes, 1}
	for first := range sizes {
		var a arena
		type block struct {
			at   ref
			data []byte
		}
		var blocks []block
		for round := range 3 {
			for i := range sizes {
				n := sizes[(first+i)%len(sizes)]
				data := bytes.Repeat([]byte{byte(len(blocks) + 1)}, n)
				blocks = append(blocks, block{a.copyIn(data), data})
			}
			if round == 1 {
				a.closeSlab()
			}
		}
		for i, b := range blocks {
			if !bytes.Equal(a.at(b.at, len(b.data)), b.data) {
				t.Fatalf("beginning with %d bytes: block %d of %d bytes was written over", sizes[first], i, len(b.data))
			}
		}
	}
}
