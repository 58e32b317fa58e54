package replay

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// Every job is handed out once, whoever asks in whichever order, and a worker takes neighbours until it has to take
// over some of another's.
func TestShares(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		jobs := make([]*job, random.IntN(40))
		for i := range jobs {
			jobs[i] = &job{}
		}
		workers := 1 + random.IntN(6)
		s := share(jobs, workers)
		taken := map[*job]int{}
		for j := s.next(random.IntN(workers)); j != nil; j = s.next(random.IntN(workers)) {
			taken[j]++
		}
		for i, j := range jobs {
			if taken[j] != 1 {
				t.Fatalf("job %d of %d was taken %d times by %d workers", i, len(jobs), taken[j], workers)
			}
		}
	}
}

// One worker alone goes through all jobs in their order; of several, each begins with its own stretch.
func TestSharesKeepNeighbours(t *testing.T) {
	t.Parallel()
	jobs := make([]*job, 12)
	for i := range jobs {
		jobs[i] = &job{}
	}
	alone := share(jobs, 1)
	for i := range jobs {
		if j := alone.next(0); j != jobs[i] {
			t.Errorf("one worker's job %d is job %d", i, slices.Index(jobs, j))
		}
	}
	s := share(jobs, 3)
	for w := range 3 {
		for i := range 4 {
			if j := s.next(w); j != jobs[4*w+i] {
				t.Errorf("job %d of worker %d is job %d", i, w, slices.Index(jobs, j))
			}
		}
	}
	if j := s.next(1); j != nil {
		t.Errorf("a thirteenth job: %d", slices.Index(jobs, j))
	}
}

// Workers at once, for the race detector.
func TestSharesAtOnce(t *testing.T) {
	t.Parallel()
	jobs := make([]*job, 1000)
	for i := range jobs {
		jobs[i] = &job{}
	}
	s := share(jobs, 4)
	var taken [4]int
	var wg sync.WaitGroup
	for w := range taken {
		wg.Go(func() {
			for s.next(w) != nil {
				taken[w]++
			}
		})
	}
	wg.Wait()
	if sum := taken[0] + taken[1] + taken[2] + taken[3]; sum != len(jobs) {
		t.Errorf("%v of %d jobs were taken", taken, len(jobs))
	}
}
