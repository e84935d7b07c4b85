package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// verb is what a command says of itself, and how its answer is shown.
type verb struct {
	use, short, example string
	args                cobra.PositionalArgs // Nil: none.
	// flags declares the verb's own, if it has any.
	flags func(*cobra.Command)
	view  view
	// filters are the fields that a list's --filter takes; without any there is no such flag.
	filters string
	// note, if there is one, is told to people on stderr before the data.
	note string
}

func (v verb) command(run func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: v.use, Short: v.short, Example: v.example, Args: v.args, SilenceUsage: true, RunE: run}
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	if v.flags != nil {
		v.flags(cmd)
	}
	return cmd
}

// group is a noun with verbs. By itself it shows them; with a word that is no verb it fails, where cobra would show
// help and succeed.
func group(use, short, example string, verbs ...*cobra.Command) *cobra.Command {
	cmd := verb{use: use, short: short, example: example, args: cobra.ArbitraryArgs}.command(func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown verb %q: see `tollgate %s --help`", args[0], use)
		}
		return cmd.Help()
	})
	cmd.AddCommand(verbs...)
	return cmd
}

// method is a call of the service S, as a method expression of its generated client.
type method[S any, Req, Res proto.Message] = func(S, context.Context, Req) (Res, error)

// fill puts a command's arguments and flags into its request.
type fill[Req proto.Message] = func(cmd *cobra.Command, args []string, req Req) error

// calling is a verb that makes one call and prints its answer.
func calling[S any, Req, Res proto.Message](v verb, service func(*client) S, do method[S, Req, Res], with fill[Req]) *cobra.Command {
	return v.command(func(cmd *cobra.Command, args []string) error {
		req := newMessage[Req]()
		if err := with(cmd, args, req); err != nil {
			return err
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		res, err := do(service(c), cmd.Context(), req)
		if err != nil {
			return err
		}
		if v.note != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), v.note)
		}
		return show(cmd, res, v.view)
	})
}

const (
	limitFlag    = "limit"
	filterFlag   = "filter"
	defaultLimit = 100
	largestPage  = 1000
)

// listing is a verb that goes through the pages of a list.
func listing[S any, Req, Res proto.Message](v verb, service func(*client) S, do method[S, Req, Res], with ...fill[Req]) *cobra.Command {
	cmd := v.command(func(cmd *cobra.Command, args []string) error {
		req := newMessage[Req]()
		limit, _ := cmd.Flags().GetInt32(limitFlag) // Declared below.
		if limit < 0 {
			return fmt.Errorf("--limit %d: use a positive number, or 0 for all", limit)
		}
		if v.filters != "" {
			filter, _ := cmd.Flags().GetString(filterFlag)
			set(req, "filter", protoreflect.ValueOfString(filter))
		}
		for _, f := range with {
			if err := f(cmd, args, req); err != nil {
				return err
			}
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		fetch := func(req Req) (Res, error) { return do(service(c), cmd.Context(), req) }
		all, err := pages(fetch, req, int(limit), v.view.field)
		if err != nil {
			return err
		}
		if text(all.ProtoReflect(), "next_page_token") != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "There are more than these %d: see --limit.\n", limit)
		}
		return show(cmd, all, v.view)
	})
	cmd.Flags().Int32(limitFlag, defaultLimit, "how many at most; 0: all")
	if v.filters != "" {
		cmd.Flags().String(filterFlag, "", `only those with, like 'field = "value" AND …'; fields: `+v.filters)
	}
	return cmd
}

// pages fetches pages until limit items are there (0: all of them), into one answer of the API's own form.
func pages[Req, Res proto.Message](fetch func(Req) (Res, error), req Req, limit int, field string) (all Res, err error) {
	for have := 0; ; {
		size := largestPage
		if limit > 0 {
			size = min(largestPage, limit-have)
		}
		set(req, "page_size", protoreflect.ValueOfInt32(int32(size)))
		page, err := fetch(req)
		if err != nil {
			return all, err
		}
		next := text(page.ProtoReflect(), "next_page_token")
		if have == 0 {
			all = page
		} else {
			proto.Merge(all, page) // Appends to the list.
			set(all, "next_page_token", protoreflect.ValueOfString(next))
		}
		have = len(view{field: field}.items(all.ProtoReflect()))
		if next == "" || limit > 0 && have >= limit {
			return all, nil
		}
		set(req, "page_token", protoreflect.ValueOfString(next))
	}
}

// argument fills the request's field with the first argument.
func argument[Req proto.Message](field protoreflect.Name) fill[Req] {
	return func(_ *cobra.Command, args []string, req Req) error {
		set(req, field, protoreflect.ValueOfString(args[0]))
		return nil
	}
}

func newMessage[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}

func set(m proto.Message, field protoreflect.Name, v protoreflect.Value) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), v)
}

// byKey is a verb that makes a call about one object of the catalog, which its key names.
func byKey[S any, Req, Res proto.Message](noun, use, short, key string, v view, service func(*client) S, do method[S, Req, Res]) *cobra.Command {
	return calling(verb{
		use: use + " KEY", short: short, example: "  tollgate " + noun + " " + use + " " + key, args: cobra.ExactArgs(1), view: v,
	}, service, do, argument[Req]("key"))
}

// oneObject is how an answer is shown that holds one object, and that of a write, with its epoch.
func oneObject(field string, columns []column) (read, written view) {
	columns = slices.Clip(columns)
	return view{field: field, columns: columns}, view{field: field, columns: append(columns, column{"EPOCH", ".epoch"})}
}
