package session

// newest stands for a version that is not known: everything is said to the target, and it refuses what it does
// not have.
const newest = 999999
