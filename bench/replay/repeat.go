package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// A log whose end leaves everything as its beginning found it can be written any number of times in a row. The
// copies differ in what tells files of one chain apart: times, and the name of the next file.

// Event types and the places that are written anew. Source: binlog_event.h and control_events.h of libs/mysql/binlog/event.
const (
	headerLen = 19
	crcLen    = 4

	typeStop   = 3
	typeRotate = 4
	typeFormat = 15

	sizeAt    = 9
	nextPosAt = 13
	createdAt = headerLen + 52 // of a format description: 0 unless the server had just started
)

var binlogMagic = []byte{0xfe, 'b', 'i', 'n'}

// repeat writes n copies of a log without GTIDs to dir as one chain and returns their paths.
func repeat(template, dir string, n int) ([]string, error) {
	var paths []string
	for i := range n {
		path := filepath.Join(dir, repeatName(i))
		if err := repeatOnce(template, path, i); err != nil {
			return nil, fmt.Errorf("repeat %s: %w", template, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func repeatName(i int) string { return fmt.Sprintf("repeat.%06d", i+1) }

// repeatSeconds is by how much each copy is younger than the one before it: longer than writing the template took.
const repeatSeconds = 3600

func repeatOnce(template, path string, i int) (err error) {
	in, err := os.Open(template)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	r, w := bufio.NewReaderSize(in, 1<<20), bufio.NewWriterSize(out, 1<<20)
	if _, err := io.CopyN(w, r, int64(len(binlogMagic))); err != nil {
		return err
	}
	pos := uint32(len(binlogMagic))
	for {
		event, err := readEvent(r)
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		if event[4] == typeFormat && i > 0 {
			binary.LittleEndian.PutUint32(event[createdAt:], 0)
		}
		if event[4] == typeStop {
			event = rotateEvent(event, pos, repeatName(i+1))
		}
		seconds := binary.LittleEndian.Uint32(event)
		binary.LittleEndian.PutUint32(event, seconds+uint32(i)*repeatSeconds)
		seal(event)
		if _, err := w.Write(event); err != nil {
			return err
		}
		pos += uint32(len(event))
	}
}

// readEvent reads one event, its checksum included; io.EOF at the end of the file.
func readEvent(r io.Reader) ([]byte, error) {
	header := make([]byte, headerLen)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header[sizeAt:])
	if size < headerLen+crcLen {
		return nil, fmt.Errorf("event of %d bytes", size)
	}
	event := make([]byte, size)
	copy(event, header)
	if _, err := io.ReadFull(r, event[headerLen:]); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return event, nil
}

// rotateEvent is the event that ends a file in favour of the next, in place of the stop event at pos.
func rotateEvent(stop []byte, pos uint32, next string) []byte {
	event := append([]byte{}, stop[:headerLen]...)
	event[4] = typeRotate
	event = binary.LittleEndian.AppendUint64(event, uint64(len(binlogMagic)))
	event = append(event, next...)
	event = append(event, make([]byte, crcLen)...)
	binary.LittleEndian.PutUint32(event[sizeAt:], uint32(len(event)))
	binary.LittleEndian.PutUint32(event[nextPosAt:], pos+uint32(len(event)))
	return event
}

// seal writes the event's checksum.
func seal(event []byte) {
	end := len(event) - crcLen
	binary.LittleEndian.PutUint32(event[end:], crc32.ChecksumIEEE(event[:end]))
}
