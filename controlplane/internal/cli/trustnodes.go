package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/trust"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// showHolders prints which key set each node goes by, where a control plane can be asked: a key can be left out once all have the set in which its
// successor is.
func showHolders(cmd *cobra.Command, a *trust.Authority) error {
	c, err := server(cmd)
	if err != nil || c == nil {
		return nil //nolint:nilerr // The line of the control plane has said why it cannot be asked.
	}
	nodes, err := allNodes(cmd.Context(), c)
	if err != nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nWhat nodes have is not known: %s\n", err)
		return err
	}
	newest := uint64(0)
	if t := a.Trust(); t != nil {
		newest = t.KeySet().Version
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nNODE\tSTATE\tKEY SET")
	for _, n := range nodes {
		held := fmt.Sprint(n.GetKeySetVersion())
		switch {
		case n.GetKeySetVersion() == 0:
			held = "not known"
		case n.GetKeySetVersion() < newest:
			held += ", behind"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(n.GetName()), printable(n.GetState()), held)
	}
	return w.Flush()
}

func allNodes(ctx context.Context, c *client) ([]*adminv1.Node, error) {
	var all []*adminv1.Node
	req := &adminv1.ListNodesRequest{PageSize: 1000}
	for {
		res, err := c.fleet().ListNodes(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, res.GetNodes()...)
		if req.PageToken = res.GetNextPageToken(); req.GetPageToken() == "" {
			return all, nil
		}
	}
}
