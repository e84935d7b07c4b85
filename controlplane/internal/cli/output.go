package cli

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// format is how data is printed.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
	asCSV   format = "csv"
)

func formats() []string {
	return []string{string(asTable), string(asJSON), string(asYAML), string(asCSV)}
}

var _ pflag.Value = (*choice)(nil)

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Type() string { return strings.Join(c.of, "|") }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("use one of %s", strings.Join(c.of, ", "))
	}
	c.value = s
	return nil
}

// words completes a choice in shells.
func words(of []string) cobra.CompletionFunc {
	return cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp)
}

const outputFlag = "output"

func addOutputFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().VarP(&choice{string(asTable), formats()}, outputFlag, "o", "how to print data; json is the API's own")
	_ = cmd.RegisterFlagCompletionFunc(outputFlag, words(formats())) // Fails only where the flag is not declared.
}

// column is one column of tables and CSV. Path is of the item, or of the whole answer where it begins with a dot.
type column struct{ header, path string }

// view says how an answer is shown as rows: of which field, in which columns. An empty field is the answer itself.
type view struct {
	field   string
	columns []column
	// heading stands above a table, a line each, with paths of the answer; it is not in CSV.
	heading []column
	// alarm is a path of the answer that is told on stderr before the data, where it is set.
	alarm string
}

// show writes an answer to the command's stdout, in the form that its flags ask for.
func show(cmd *cobra.Command, answer proto.Message, v view) error {
	out := cmd.OutOrStdout()
	if v.alarm != "" {
		if alarm := text(answer.ProtoReflect(), v.alarm); alarm != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "NO RULES ARE PUBLISHED: %s.\n", printable(alarm))
		}
	}
	switch format(cmd.Flags().Lookup(outputFlag).Value.String()) {
	case asJSON:
		return printJSON(out, answer)
	case asYAML:
		return printYAML(out, answer)
	case asCSV:
		w := csv.NewWriter(out)
		return w.WriteAll(v.table(answer))
	default:
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, line := range v.heading {
			fmt.Fprintf(w, "%s\t%s\n", line.header, printable(cmp.Or(text(answer.ProtoReflect(), line.path), "-")))
		}
		if len(v.heading) > 0 {
			fmt.Fprintln(w)
		}
		for _, row := range v.table(answer) {
			for i, cell := range row {
				row[i] = cmp.Or(cell, "-")
			}
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		return w.Flush()
	}
}

// table is the header and the rows.
func (v view) table(answer proto.Message) [][]string {
	header := make([]string, len(v.columns))
	for i, c := range v.columns {
		header[i] = c.header
	}
	rows := [][]string{header}
	root := answer.ProtoReflect()
	for _, item := range v.items(root) {
		row := make([]string, len(v.columns))
		for i, c := range v.columns {
			if path, ok := strings.CutPrefix(c.path, "."); ok {
				row[i] = printable(text(root, path))
			} else {
				row[i] = printable(text(item, c.path))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (v view) items(root protoreflect.Message) []protoreflect.Message {
	if v.field == "" {
		return []protoreflect.Message{root}
	}
	fd, value, ok := at(root, v.field)
	if !ok {
		return nil
	}
	if !fd.IsList() {
		return []protoreflect.Message{value.Message()}
	}
	items := make([]protoreflect.Message, value.List().Len())
	for i := range items {
		items[i] = value.List().Get(i).Message()
	}
	return items
}

// printJSON writes proto JSON, indented alike every time: protojson itself varies its spaces.
func printJSON(out io.Writer, m proto.Message) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, b, "", "  "); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	indented.WriteByte('\n')
	_, err = indented.WriteTo(out)
	return err
}

// printable keeps what a client once sent (a path, say) from driving the reader's terminal.
func printable(cell string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, cell)
}
