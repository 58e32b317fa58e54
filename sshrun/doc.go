// Package sshrun reaches hosts over SSH: it resolves a name as the user's ssh would, connects, checks the
// host key, authenticates, runs commands and fans out. It knows no policy.
//
// SSH is spoken in process (golang.org/x/crypto/ssh), so a thousand hosts are a thousand goroutines and not a
// thousand processes. What OpenSSH is configured to do is asked of `ssh -G`; what this package cannot do
// (GSSAPI, PKCS#11, a FIDO key outside an agent, passwords) is said in the error, with the way out:
// Options.Transport "openssh" runs the system's ssh instead.
//
// Host keys are always checked. There is no option here that stops that; StrictHostKeyChecking of the user's
// own configuration is honoured for unknown keys, and a changed key is refused whatever it says.
//
// A command ends in one of three ways, and they are never mixed up: it exited, a signal ended it, or the
// connection was lost and nobody knows (Exit).
package sshrun
