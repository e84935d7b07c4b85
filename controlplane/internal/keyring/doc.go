// Package keyring holds the online keys of a control plane, and the newest key set that says which keys count.
//
// A Ring reads the keys from files, and the set from a file beside them and from Postgres. One goroutine, Run, looks at both each second. A key
// in new files is signed with once it counts and nodes have had time to hear so; until then the one before goes on, as long as it counts. So it does
// not matter whether the set or the files come first, and nothing is restarted. A key that counts no longer signs nothing: that is logged
// once, shown by Warnings and by metrics, and Sign fails.
//
// Sets only become newer. Where Postgres has an older one than the file (the file was put there, or Postgres was restored), it gets
// the file's. Each round ends with sending the newest set to all nodes, whichever control plane publishes the rules.
//
// All methods but Run may be called from anywhere.
package keyring
