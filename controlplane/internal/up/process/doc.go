// Package process keeps child processes running.
//
// A Child has one goroutine, which starts the process, waits for its end, and starts it again after a delay, for ever,
// until Stop. Every process is started from one OS thread that lives as long as the Supervisor: on Linux a child is
// sent its Orphan signal when the thread that started it ends, so a supervisor that is killed leaves nothing behind.
// Each child leads its own process group: a Ctrl-C at the terminal reaches the supervisor alone, which then stops
// children in its order.
//
// Start, PID, Ready, Stop and Kill may be called from any goroutine. Stop returns when the process is gone. A child that cannot even be
// started counts as one that died.
package process
