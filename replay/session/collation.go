package session

import (
	_ "embed" // the lists
	"fmt"
	"strconv"
	"strings"
	"sync"

	"interlock/replay/binlog"
)

// The collations of MySQL 9.7 and MariaDB 10.11, as these servers list them: number, character set, name. A
// number keeps its meaning in all versions.
var (
	//go:embed collations/mysql.txt
	mysqlCollations string
	//go:embed collations/mariadb.txt
	mariadbCollations string
)

// collation is what a collation's number in the log stands for.
type collation struct{ charset, name string }

var collationsOf = map[binlog.Flavor]func() map[uint32]collation{
	binlog.MySQL:   sync.OnceValue(func() map[uint32]collation { return readCollations(mysqlCollations) }),
	binlog.MariaDB: sync.OnceValue(func() map[uint32]collation { return readCollations(mariadbCollations) }),
}

func readCollations(list string) map[uint32]collation {
	known := map[uint32]collation{}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		id, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil || len(fields) != 3 {
			panic("session: embedded list of collations: " + line) // a test reads both
		}
		known[uint32(id)] = collation{charset: fields[1], name: fields[2]}
	}
	return known
}

// collation looks a number up, under the names of the target's version: utf8mb3 was utf8 until MySQL 8.0.30
// and MariaDB 10.6.
func (s *State) collation(id uint32) (collation, bool) {
	known, ok := collationsOf[s.flavor]
	if !ok {
		return collation{}, false
	}
	c, ok := known()[id]
	renamed := 80030
	if s.flavor == binlog.MariaDB {
		renamed = 100600
	}
	if s.version < renamed && c.charset == "utf8mb3" {
		c.charset, c.name = "utf8", "utf8"+strings.TrimPrefix(c.name, "utf8mb3")
	}
	return c, ok
}

// collationPairs writes MariaDB's character_set_collations: character set and default collation, by the
// number of a collation in two bytes each.
func (s *State) collationPairs(pairs string) (string, error) {
	r := &varReader{data: []byte(pairs)}
	var list []string
	for len(r.data) > 0 {
		of, to := r.uint16(), r.uint16()
		from, known := s.collation(uint32(of))
		collation, knownTo := s.collation(uint32(to))
		if !known || !knownTo {
			return "", fmt.Errorf("set character_set_collations: collation %d or %d is not known: use a newer interlock", of, to)
		}
		list = append(list, from.charset+"="+collation.name)
	}
	return strings.Join(list, ","), nil
}
