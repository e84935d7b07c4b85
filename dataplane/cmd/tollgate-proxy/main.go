// Command tollgate-proxy is a node alone: the proxy, without the control plane and the command line.
package main

import (
	"context"
	"fmt"
	"os"

	"tollgate/dataplane"
)

// version is set by the linker.
var version = "dev"

func main() {
	cmd := dataplane.Command()
	cmd.Use = "tollgate-proxy"
	cmd.Version = version
	cmd.SilenceErrors = true
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "tollgate-proxy:", err)
		os.Exit(1)
	}
}
