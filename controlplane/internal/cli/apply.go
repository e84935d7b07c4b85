package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// waitAtMost is how long the API waits for nodes at most.
const waitAtMost = time.Minute

func applyCommand() *cobra.Command {
	return verb{
		use: "apply -f FILE", short: "Make the catalog match a file",
		example: "  tollgate apply -f catalog.yaml --dry-run      # says what would change\n" +
			"  tollgate apply -f catalog.yaml --wait         # returns when every node enforces it\n" +
			"  tollgate apply -f catalog.yaml --prune        # archives what the file does not name\n" +
			"  tollgate apply -f - < catalog.yaml",
		flags: func(cmd *cobra.Command) {
			addFileFlag(cmd)
			addPruneFlag(cmd)
			cmd.Flags().Bool("dry-run", false, "only say what would change")
			cmd.Flags().Bool("wait", false, "return when every node enforces the result")
			cmd.Flags().Duration("wait-timeout", waitAtMost, "how long --wait waits, at most "+waitAtMost.String())
			addMigrationFlag(cmd, "now")
			addConfirmFlag(cmd)
			cmd.MarkFlagsMutuallyExclusive("dry-run", "wait")
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		text, err := catalogText(cmd)
		if err != nil {
			return err
		}
		if timeout, _ := cmd.Flags().GetDuration("wait-timeout"); timeout < 0 || timeout > waitAtMost {
			return fmt.Errorf("--wait-timeout %s: use 0s to %s", timeout, waitAtMost)
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		dryRun, _ := cmd.Flags().GetBool("dry-run") // These flags are declared above.
		wait, _ := cmd.Flags().GetBool("wait")
		prune, _ := cmd.Flags().GetBool(pruneFlag)
		res, err := c.catalog().ApplyCatalog(cmd.Context(), &adminv1.ApplyCatalogRequest{
			Yaml: text, DryRun: dryRun, Migration: migration(cmd), Prune: prune, ConfirmAffected: confirmOf(cmd),
		})
		if err != nil {
			return err
		}
		if len(res.GetChanges()) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "Nothing differs from the file.")
		}
		if err := show(cmd, res, catalogChanges()); err != nil {
			return err
		}
		if !wait {
			return nil
		}
		timeout, _ := cmd.Flags().GetDuration("wait-timeout")
		within, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		epoch, err := migrated(within, cmd.ErrOrStderr(), c, res)
		if err != nil {
			return err
		}
		return waitFor(cmd, c, epoch)
	})
}

// watchEvery is how often the progress of a migration is asked for.
const watchEvery = 500 * time.Millisecond

// migrated returns when the licences have moved that an applied catalog moves, and the epoch that says so.
func migrated(ctx context.Context, progress io.Writer, c *client, applied *adminv1.ApplyCatalogResponse) (*adminv1.Epoch, error) {
	epoch := applied.GetEpoch()
	for _, change := range applied.GetChanges() {
		if change.GetKind() != "plan" || change.GetAction() != "publish" {
			continue
		}
		plan, err := c.catalog().GetPlan(ctx, &adminv1.GetPlanRequest{Key: change.GetKey()})
		if err != nil {
			return nil, err
		}
		for told := int64(-1); ; {
			m, err := c.catalog().GetMigration(ctx, &adminv1.GetMigrationRequest{Plan: change.GetKey(), Version: plan.GetPlan().GetPublishedVersion()})
			if err != nil {
				return nil, err
			}
			if newer(m.GetEpoch(), epoch) {
				epoch = m.GetEpoch()
			}
			if m.GetDone() {
				break
			}
			if m.GetMoved() != told {
				told = m.GetMoved()
				fmt.Fprintf(progress, "Plan %s: %d of %s licences have moved.\n", change.GetKey(), told, countOrMore(m.GetTotal()))
			}
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("applied as epoch %s; licences still move to plan %s: see `tollgate plans migration %s %d`",
					message(applied.GetEpoch()), change.GetKey(), change.GetKey(), plan.GetPlan().GetPublishedVersion())
			case <-time.After(watchEvery):
			}
		}
	}
	return epoch, nil
}

func newer(a, b *adminv1.Epoch) bool {
	return cmp.Or(cmp.Compare(a.GetGeneration(), b.GetGeneration()), cmp.Compare(a.GetNumber(), b.GetNumber())) > 0
}

// countOrMore is a total, which is negative while nobody has counted.
func countOrMore(total int64) string {
	if total < 0 {
		return "so far uncounted"
	}
	return strconv.FormatInt(total, 10)
}

func catalogText(cmd *cobra.Command) (string, error) {
	name, _ := cmd.Flags().GetString("file") // Declared by the command.
	read := func() ([]byte, error) { return os.ReadFile(name) }
	if name == "-" {
		read = func() ([]byte, error) { return io.ReadAll(cmd.InOrStdin()) }
	}
	b, err := read()
	if err != nil {
		return "", fmt.Errorf("read the catalog file: %w", err)
	}
	if len(b) == 0 {
		return "", errors.New("the catalog file is empty")
	}
	return string(b), nil
}

// waitFor returns when every node enforces the epoch, and fails where that takes too long.
func waitFor(cmd *cobra.Command, c *client, epoch *adminv1.Epoch) error {
	timeout, _ := cmd.Flags().GetDuration("wait-timeout") // Declared by the command.
	res, err := c.fleet().WaitForEpoch(cmd.Context(), &adminv1.WaitForEpochRequest{Epoch: epoch, Timeout: durationpb.New(timeout)})
	if err != nil {
		return fmt.Errorf("applied as epoch %s, but waiting for nodes failed: %w", message(epoch), err)
	}
	if res.GetEnforced() < res.GetTotal() || res.GetTotal() == 0 {
		return fmt.Errorf("applied as epoch %s, which %d of %d nodes enforce after %s: see `tollgate fleet`",
			message(epoch), res.GetEnforced(), res.GetTotal(), timeout)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Epoch %s is enforced by all nodes (%d).\n", message(epoch), res.GetTotal())
	return nil
}
