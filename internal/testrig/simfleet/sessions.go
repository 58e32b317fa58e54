package simfleet

import "sync"

// sessionSet are the sessions of one connection, and what runs in them.
type sessionSet struct {
	mu       sync.Mutex
	open     int
	commands map[*command]bool
}

// enter counts one more session; false: it is one too many.
func (s *sessionSet) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= maxSessions {
		return false
	}
	s.open++
	return true
}

func (s *sessionSet) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

func (s *sessionSet) add(c *command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commands == nil {
		s.commands = map[*command]bool{}
	}
	s.commands[c] = true
}

func (s *sessionSet) remove(c *command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.commands, c)
}

// signal is what checks.StopSiblingsLine does on a real host.
func (s *sessionSet) signal(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.commands {
		select {
		case c.kill <- name:
		default:
		}
	}
}
