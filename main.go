// Interlock keeps maintenance commands away from machines that hold live data: it asks the hosts what they
// are, and each host refuses for itself. Where something got through anyway, it brings the data back fast.
package main

import (
	"os"

	"interlock/internal/command"
)

func main() { os.Exit(command.Run(os.Args)) }
