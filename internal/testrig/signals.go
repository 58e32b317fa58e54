package testrig

import (
	"os"
	"os/signal"
	"syscall"
)

// HearSignals has the processes that a test starts hear ^C and hang-ups, for all that whoever started the test may ignore
// them, as nohup and the background of a script do: an ignored signal is passed on to children, one that is heard is not.
func HearSignals() {
	for _, one := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(one) {
			signal.Notify(make(chan os.Signal, 1), one)
		}
	}
}
