// Package policy decides, without looking at any host, what a command can do (Classify) and what follows from
// it for a host that has reported its state (Decide). It is pure: no files, no network, no clock.
//
// A command is destructive until every part of it is proven to be something milder. There is no list of bad
// commands. The proof walks the syntax tree of the interpreter that will run the command; for /bin/sh, which
// may be dash or bash, the tree of both. programs.go lists every program that is known; the family files
// (files.go, mysql.go, …) say which options and operands keep it harmless, and what is not said there is not
// known.
package policy
