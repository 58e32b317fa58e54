// Package fleet is what the commands do: it lets sshrun reach the hosts, checks ask them what they are,
// policy decide, and report draw the result. One command a file: options, constructor, Run.
//
// What holds for every guarded command (docs/design.md, "Fleet runs"):
//
//  1. A command that is not read-only starts on no host before every host of the set has answered.
//  2. One refusal, or one host that does not answer, and it starts nowhere, unless the caller said by flag
//     which kind of host to leave out.
//  3. The host's own yes is needed at the very moment of the start: a session that carries the command
//     inspects again, and ours can only add a no to it.
//  4. The audit line of a disruptive or destructive command is on disk before the go is sent.
//  5. After a surprise no further host starts, and every host that may still run something is named.
package fleet
