package fleet

// lanes splits hosts into runs that may go side by side: two hosts of one cluster, or of clusters that
// share a member, are in the same lane and are taken one after the other. Lanes, and the hosts in them,
// keep the order of hosts.
func lanes(hosts []string, clustersOf func(host string) []string) [][]string {
	parent := make([]int, len(hosts))
	for i := range parent {
		parent[i] = i
	}
	var root func(i int) int
	root = func(i int) int {
		if parent[i] != i {
			parent[i] = root(parent[i])
		}
		return parent[i]
	}
	first := map[string]int{} // cluster → the first host of it
	for i, host := range hosts {
		for _, cluster := range clustersOf(host) {
			j, seen := first[cluster]
			if !seen {
				first[cluster] = i
				continue
			}
			a, b := root(i), root(j)
			parent[max(a, b)] = min(a, b)
		}
	}
	var result [][]string
	lane := map[int]int{} // root → index in result
	for i, host := range hosts {
		at, ok := lane[root(i)]
		if !ok {
			at = len(result)
			lane[root(i)] = at
			result = append(result, nil)
		}
		result[at] = append(result[at], host)
	}
	return result
}
