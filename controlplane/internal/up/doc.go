// Package up runs a whole Tollgate on one machine: Postgres, NATS, control planes, nodes and a sample service, each a real process.
//
// Run opens the data dir (alone: it is locked), makes keys and credentials that are missing, and starts children in the order in which they
// need each other. It returns when its context ends or the start fails; in both cases everything that was started is stopped, nodes first,
// as they drain into what comes after them.
//
// One goroutine a child keeps it running (package process). They report starts and deaths through system.changed, which never blocks:
// another goroutine replaces the ready file and tells the console. The proxy port's sockets belong to this process, which never accepts on them:
// nodes inherit them, and connections wait in the kernel while a node restarts. The admin address is a forwarder's: it goes
// to a control plane that takes connections.
package up
