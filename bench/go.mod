module interlock/bench

go 1.26.0

replace interlock => ../

require (
	golang.org/x/sys v0.49.0
	interlock v0.0.0
)

require golang.org/x/sync v0.24.0 // indirect
