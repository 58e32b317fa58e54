//go:build !linux

package fold

import "unsafe"

// adviseHuge does nothing: huge pages are asked for on Linux alone.
func (a *arena) adviseHuge(unsafe.Pointer, uintptr) {}
