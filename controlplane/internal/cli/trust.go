package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/envelope"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// The flags of the trust verbs.
const (
	dirFlag  = "dir"
	keysFlag = "keys"
	outFlag  = "out"
)

// keyWords are what can be rotated.
func keyWords() []string { return []string{"rules", "receipts", "issuer", "root"} }

func trustCommand() *cobra.Command {
	cmd := group("trust", "Signing keys: the fleet's root, and the set of keys that count",
		"  tollgate trust show\n  tollgate trust rotate rules\n  tollgate trust revoke key_0123456789abcdef",
		trustInitCommand(), trustRotateCommand(), trustRevokeCommand(), trustShowCommand(), trustSendCommand())
	preset := filepath.Join(cmp.Or(os.Getenv("TOLLGATE_DATA_DIR"), ".tollgate"), "trust")
	cmd.PersistentFlags().String(dirFlag, preset, "folder of the root key")
	return cmd
}

func trustInitCommand() *cobra.Command {
	return verb{
		use: "init", short: "Make what is missing of root, online keys and key set, and print the root's public key",
		example: "  tollgate trust init\n  tollgate trust init --dir /media/offline/trust --keys ./keys --out keyset.pem",
		flags:   func(cmd *cobra.Command) { keysFlags(cmd); outFlags(cmd) },
	}.command(func(cmd *cobra.Command, _ []string) error {
		a, err := trust.Open(flagText(cmd, dirFlag))
		if err != nil {
			return folderHint(err)
		}
		keys := keysDir(cmd)
		for _, name := range keyWords() {
			if usage, online := trust.Usages[name]; online {
				if err := a.Equip(keys, name, usage, "controlplane"); err != nil {
					return err
				}
			}
		}
		t := &trustChange{cmd: cmd, authority: a}
		if err := t.begin(); err != nil {
			return err
		}
		signed, err := a.Enrol(keys, time.Now())
		if err != nil {
			return err
		}
		if signed == nil {
			signed = a.Trust().Raw() // It may not have been sent yet.
		}
		if err := t.bring(signed); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Root())
		return err
	})
}

func trustRotateCommand() *cobra.Command {
	return verb{
		use: "rotate rules|receipts|issuer|root", short: "Make a new key that counts beside the one before, and have it used",
		example: "  tollgate trust rotate rules\n  tollgate trust rotate receipts --keys /etc/tollgate/cp-1 --keys /etc/tollgate/cp-2\n" +
			"  tollgate trust rotate root --out keyset.pem",
		args: cobra.ExactArgs(1), flags: func(cmd *cobra.Command) { keysFlags(cmd); outFlags(cmd) },
	}.command(func(cmd *cobra.Command, args []string) error {
		name := args[0]
		if !slices.Contains(keyWords(), name) {
			return fmt.Errorf("%q cannot be rotated: use one of rules, receipts, issuer, root", name)
		}
		t, err := changeTrust(cmd)
		if err != nil {
			return err
		}
		a := t.authority
		if name == "root" {
			former := t.root()
			signed, err := a.RotateRoot(time.Now())
			if err != nil {
				return err
			}
			if err := t.bring(signed); err != nil {
				return err
			}
			t.tell("The root is %s now. Running nodes and control planes follow by themselves; configure new ones with trust_root %s.", t.root(), a.Root())
			t.tell("Nodes that %s certified go on. To end them, once they have other certificates: tollgate trust revoke %s", former, former)
			return nil
		}
		pair, signed, err := a.Rotate(name, time.Now())
		if err != nil {
			return err
		}
		if err := t.bring(signed); err != nil {
			return err
		}
		// Only now: a control plane that starts with a key which does not count would sign nothing.
		for _, dir := range keysDirs(cmd) {
			if err := pair.Install(dir); err != nil {
				return fmt.Errorf("%w: the key counts and is used nowhere: rotate again", err)
			}
			t.tell("%s is in %s: control planes with that data_dir sign with it in a few seconds.", pair.ID(), dir)
		}
		t.tell("The one before still counts. When no control plane signs with it any more, take it out: tollgate trust revoke ID")
		return nil
	})
}

func trustRevokeCommand() *cobra.Command {
	return verb{
		use: "revoke ID", short: "Take a key out of the set: what it signs is refused from then on, everywhere",
		example: "  tollgate trust revoke key_0123456789abcdef", args: cobra.ExactArgs(1),
		flags: func(cmd *cobra.Command) {
			outFlags(cmd)
			cmd.Flags().Bool("last", false, "even the last key of its kind: nothing of that kind is signed until there is another")
		},
	}.command(func(cmd *cobra.Command, args []string) error {
		t, err := changeTrust(cmd)
		if err != nil {
			return err
		}
		last, _ := cmd.Flags().GetBool("last") // Declared above.
		signed, err := t.authority.Revoke(args[0], last, time.Now())
		if errors.Is(err, trust.ErrLastKey) {
			return fmt.Errorf("%w: without it nothing of that kind would be signed: `tollgate trust rotate` first, or give --last", err)
		}
		if err != nil {
			return err
		}
		// First: a key that is not sent out stays out all the same.
		if err := t.authority.Forbid(args[0]); err != nil {
			return err
		}
		if err := t.bring(signed); err != nil {
			return err
		}
		t.tell("%s counts no longer.", args[0])
		return nil
	})
}

func trustSendCommand() *cobra.Command {
	return verb{
		use: "send [FILE]", short: "Send a key set to the control plane: a file of --out, or the folder's newest",
		example: "  tollgate trust send keyset.pem", args: cobra.MaximumNArgs(1),
	}.command(func(cmd *cobra.Command, args []string) error {
		path := filepath.Join(flagText(cmd, dirFlag), trust.KeySetFile)
		if len(args) > 0 {
			path = args[0]
		}
		signed, err := envelope.TrustFile(path).LoadTrust()
		if err != nil {
			return err
		}
		if signed == nil {
			return fmt.Errorf("there is no key set in %s: `tollgate trust init` makes the first", path)
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		return sendKeySet(cmd, c, signed)
	})
}

func trustShowCommand() *cobra.Command {
	return verb{
		use: "show", short: "Show the root, the keys that count, and which set control plane and nodes have",
		example: "  tollgate trust show\n  tollgate trust show --root",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Bool("root", false, "print the root's public key alone, which nodes and control planes are configured with")
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		a, err := trust.Load(flagText(cmd, dirFlag))
		if err != nil {
			return folderHint(err)
		}
		if only, _ := cmd.Flags().GetBool("root"); only { // Declared above.
			_, err := fmt.Fprintln(cmd.OutOrStdout(), a.Root())
			return err
		}
		if err := showTrust(cmd, a, atControlPlane(cmd), time.Now()); err != nil {
			return err
		}
		return showHolders(cmd, a)
	})
}

// atControlPlane says which set a control plane has, if one is configured.
func atControlPlane(cmd *cobra.Command) string {
	c, err := server(cmd)
	if err != nil {
		return "not known: " + err.Error()
	}
	if c == nil {
		return "not known: no server is configured"
	}
	set, err := heldKeySet(cmd.Context(), c)
	switch {
	case err != nil:
		return "not known: " + err.Error()
	case set == nil:
		return "none"
	}
	return fmt.Sprintf("version %d", set.GetVersion())
}

// showTrust prints what a folder knows.
func showTrust(cmd *cobra.Command, a *trust.Authority, held string, now time.Time) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	version, set := "none", envelope.KeySet{}
	if t := a.Trust(); t != nil {
		set = t.KeySet()
		version = fmt.Sprintf("version %d of %s", set.Version, set.CreatedAt.UTC().Format(time.RFC3339))
	}
	root, err := envelope.ParseRoot(a.Root())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Fleet\t%s\nRoot\t%s\nKey set\t%s\nControl plane\t%s\n\n", a.Fleet(), a.Root(), version, held)
	fmt.Fprintln(w, "ID\tUSAGE\tSUBJECT\tNOT AFTER\tSTATE")
	fmt.Fprintf(w, "%s\troot\t-\t-\tin use\n", envelope.KeyID(root))
	for _, f := range set.FormerRoots {
		state := "replaced"
		if f.Nodes {
			state = "replaced; its nodes count"
		}
		fmt.Fprintf(w, "%s\troot\t-\t-\t%s\n", envelope.KeyID(f.PublicKey), state)
	}
	for _, k := range set.Keys {
		state := "counts"
		switch {
		case !now.Before(k.NotAfter):
			state = "expired"
		case now.Before(k.NotBefore):
			state = "not yet"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", envelope.KeyID(k.PublicKey), usageWord(k.Usage), printable(k.Subject), k.NotAfter.UTC().Format(time.DateOnly), state)
	}
	return w.Flush()
}

func usageWord(u envelope.Usage) string {
	for word, usage := range trust.Usages {
		if usage == u {
			return word
		}
	}
	return u.String()
}

// trustChange is a new key set on its way.
type trustChange struct {
	cmd       *cobra.Command
	authority *trust.Authority
	// client is where it goes; nil: to a file, or nowhere but into the folder.
	client *client
}

func changeTrust(cmd *cobra.Command) (*trustChange, error) {
	a, err := trust.Load(flagText(cmd, dirFlag))
	if err != nil {
		return nil, folderHint(err)
	}
	t := &trustChange{cmd: cmd, authority: a}
	return t, t.begin()
}

// begin finds out where the set goes, and what is in force there.
func (t *trustChange) begin() error {
	if t.out() != "" {
		return nil
	}
	var err error
	if t.client, err = server(t.cmd); err != nil || t.client == nil {
		return err
	}
	held, err := heldKeySet(t.cmd.Context(), t.client)
	if err != nil || held == nil {
		return err
	}
	if err := t.authority.Learn(held.GetSigned()); err != nil {
		return fmt.Errorf("the control plane's key set does not go with the root in %s: %w", flagText(t.cmd, dirFlag), err)
	}
	return nil
}

// bring sends the set, or writes it, and then keeps it.
func (t *trustChange) bring(signed []byte) error {
	switch {
	case t.out() != "":
		if err := envelope.TrustFile(t.out()).StoreTrust(signed); err != nil {
			return err
		}
		t.tell("The key set is in %s. Send it: tollgate trust send %s", t.out(), t.out())
	case t.client != nil:
		if err := sendKeySet(t.cmd, t.client, signed); err != nil {
			return err
		}
	default:
		t.tell("No server is configured, so the key set is in %s alone. Send it: tollgate trust send", flagText(t.cmd, dirFlag))
	}
	return t.authority.Learn(signed)
}

func (t *trustChange) out() string { return flagText(t.cmd, outFlag) }

func (t *trustChange) root() string {
	root, err := envelope.ParseRoot(t.authority.Root())
	if err != nil {
		return "the root"
	}
	return envelope.KeyID(root)
}

func (t *trustChange) tell(format string, args ...any) {
	fmt.Fprintf(t.cmd.ErrOrStderr(), format+"\n", args...)
}

// server is the configured one; nil where none is.
func server(cmd *cobra.Command) (*client, error) {
	dir := cmp.Or(os.Getenv("TOLLGATE_DATA_DIR"), ".tollgate")
	_, err := os.Stat(filepath.Join(dir, contextFile))
	if flagText(cmd, serverFlag) == "" && os.Getenv("TOLLGATE_SERVER") == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return dial(cmd)
}

func heldKeySet(ctx context.Context, c *client) (*adminv1.KeySet, error) {
	res, err := c.fleet().GetKeySet(ctx, &adminv1.GetKeySetRequest{})
	if code := connect.CodeOf(err); err != nil && (code == connect.CodeNotFound || code == connect.CodeFailedPrecondition) {
		return nil, nil
	}
	return res.GetKeySet(), err
}

func sendKeySet(cmd *cobra.Command, c *client, signed []byte) error {
	res, err := c.fleet().SetKeySet(cmd.Context(), &adminv1.SetKeySetRequest{Signed: signed})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Key set %d is in force at %s: nodes get it within a second.\n", res.GetKeySet().GetVersion(), c.server)
	return nil
}

func keysFlags(cmd *cobra.Command) {
	cmd.Flags().StringArray(keysFlag, nil, "folder of online keys, a control plane's data_dir; may be given several times (default: controlplane beside --dir)")
}

func outFlags(cmd *cobra.Command) {
	cmd.Flags().String(outFlag, "", "write the key set to this file instead of sending it")
}

func keysDirs(cmd *cobra.Command) []string {
	dirs, _ := cmd.Flags().GetStringArray(keysFlag) // Declared by keysFlags.
	if len(dirs) == 0 {
		dirs = []string{filepath.Join(filepath.Dir(filepath.Clean(flagText(cmd, dirFlag))), "controlplane")}
	}
	return dirs
}

// keysDir is where init makes keys; others get copies by hand.
func keysDir(cmd *cobra.Command) string { return keysDirs(cmd)[0] }

// flagText is a flag's value; empty where the command has none of that name.
func flagText(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

func folderHint(err error) error {
	return fmt.Errorf("%w: name the folder by --dir; `tollgate trust init` makes one", err)
}
