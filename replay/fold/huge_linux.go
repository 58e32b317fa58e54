package fold

import (
	"syscall"
	"unsafe"
)

// heapChunk is the size of the stretches, aligned to it, that the Go runtime adds to its heap: advice is lost where a
// stretch is added later. Source: pallocChunkBytes in runtime/mpagealloc.go.
const heapChunk = 4 << 20

// adviseHuge asks for huge pages where an object lies, before it is touched: an epoch touches much memory once, in no
// order, and half of the time of a fold went into page faults on a virtual machine. Where the kernel gives none the
// memory is as it was.
func (a *arena) adviseHuge(object unsafe.Pointer, size uintptr) {
	from := uintptr(object) &^ (heapChunk - 1)
	to := (uintptr(object) + size + heapChunk - 1) &^ (heapChunk - 1)
	if from >= a.advised[0] && to <= a.advised[1] {
		return
	}
	a.advised = [2]uintptr{from, to}
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_HUGEPAGE)
}
