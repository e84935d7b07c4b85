// Command tollgate is everything that Tollgate does, as one program: it runs control planes, nodes and whole systems, and
// calls the API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // Periods are counted in customers' time zones, wherever the program runs.

	"tollgate/controlplane/internal/cli"
)

// version is set when the program is linked.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends a command that does not heed the first.
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "tollgate: %s\n", strings.TrimSpace(err.Error()))
		if found, ok := errors.AsType[*cli.FindingsError](err); ok {
			return found.ExitCode()
		}
		return 1
	}
	return 0
}
