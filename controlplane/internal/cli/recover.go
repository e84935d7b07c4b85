package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// recoverCommand looks, says what it found, asks, and opens a new generation.
func recoverCommand() *cobra.Command {
	return verb{
		use: "recover", short: "After Postgres was restored: have nodes follow it again",
		example: "  tollgate recover            # says what was lost, and asks\n  tollgate recover --dry-run  # only says\n  tollgate recover --yes",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Bool("yes", false, "do not ask")
			cmd.Flags().Bool("dry-run", false, "only say what was found")
			cmd.Flags().Bool("force", false, "open a new generation even where nothing is ahead of the database: for nodes that froze theirs")
			cmd.MarkFlagsMutuallyExclusive("yes", "dry-run")
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		yes, _ := cmd.Flags().GetBool("yes") // These flags are declared above.
		dryRun, _ := cmd.Flags().GetBool("dry-run")
		force, _ := cmd.Flags().GetBool("force")
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		found, err := c.fleet().RecoverRules(cmd.Context(), &adminv1.RecoverRulesRequest{Force: force, ValidateOnly: true})
		if err != nil {
			return err
		}
		tell(cmd.ErrOrStderr(), found)
		if !found.GetNeeded() && !force || dryRun {
			found.Epoch = nil // It is only what it would be.
			return show(cmd, found, recovered())
		}
		if !yes {
			if err := confirmed(cmd, "Nodes will follow the database as it is now. Go on?"); err != nil {
				return err
			}
		}
		done, err := c.fleet().RecoverRules(cmd.Context(), &adminv1.RecoverRulesRequest{Force: force})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Nodes follow epoch %s: see `tollgate fleet`. What was lost has to be done again: see docs/runbooks/restore.md.\n", message(done.GetEpoch()))
		return show(cmd, done, recovered())
	})
}

// recovered shows what the lost epochs changed, under where everything is.
func recovered() view {
	return view{
		field:   "lost_changes",
		columns: []column{{"KIND", "kind"}, {"ID", "id"}, {"EPOCH", "epoch"}, {"WHAT", "what"}},
		heading: []column{
			{"DATABASE", "database"}, {"STREAM", "stream"}, {"SNAPSHOT", "snapshot"}, {"NODES", "nodes"}, {"LOST", "lost"}, {"NEW EPOCH", "epoch"},
		},
	}
}

func tell(w io.Writer, r *adminv1.RecoverRulesResponse) {
	if !r.GetNeeded() {
		fmt.Fprintln(w, "Nothing is ahead of the database: there is nothing to recover from.")
		return
	}
	fmt.Fprintf(w, "The database was restored to an earlier point: %s. It has lost %d epochs.\n", r.GetReason(), r.GetLost())
}

// confirmed asks on stderr, and fails where the answer is not yes.
func confirmed(cmd *cobra.Command, question string) error {
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}

// drainCommand takes a node that is gone out of what is waited for.
func drainCommand() *cobra.Command {
	return calling(verb{
		use: "drain NODE", short: "Wait no more for a node that is gone for good",
		example: "  tollgate fleet drain node-7    # one that stops as it is told needs no drain",
		args:    cobra.ExactArgs(1),
		view:    view{field: "node", columns: []column{{"NAME", "name"}, {"STATE", "state"}, {"EPOCH", "epoch"}, {"LAST SEEN", "last_seen"}}},
	}, (*client).fleet, fleetClient.DrainNode, argument[*adminv1.DrainNodeRequest]("name"))
}
