// Package table reads CSV files (RFC 4180) with a header, a row at a time. A file may be of any length: what is held of it is a row,
// and a row is bounded.
package table

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a file. A field that is longer is a fault of its row; where a row is longer, the file cannot be read on, since
// a quote that is never closed would take in all that follows.
const (
	MaxField   = 8 << 10
	MaxRow     = 256 << 10
	MaxColumns = 100
)

// Columns are those that a file may have, in any order.
type Columns struct {
	Required, Optional []string
	// Families are columns of a name of the file's own, by what they begin with: "metadata.".
	Families []string
}

func (c *Columns) take(name string) bool {
	return slices.Contains(c.Required, name) || slices.Contains(c.Optional, name) ||
		slices.ContainsFunc(c.Families, func(f string) bool { return strings.HasPrefix(name, f) && len(name) > len(f) })
}

func (c *Columns) list() string {
	all := slices.Concat(c.Required, c.Optional)
	for _, f := range c.Families {
		all = append(all, f+"<name>")
	}
	return strings.Join(all, ", ")
}

// Error is what is wrong at one place of a file. Lines are counted from 1; Column may be empty.
type Error struct {
	Line            int
	Column, Message string
}

// Error is the line, the column and the message.
func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Column, e.Message)
}

// Row is one row.
type Row struct {
	Line int // Where it begins.
	// Fault is set where the row is not one of this file: its number of fields is another, or one cannot be text.
	Fault  *Error
	header []string
	fields []string
}

// Get is the field of a column; empty where the file has no such column.
func (r *Row) Get(column string) string {
	if i := slices.Index(r.header, column); i >= 0 && r.Fault == nil {
		return r.fields[i]
	}
	return ""
}

// Family are the fields of the columns that begin with prefix, by what follows on it.
func (r *Row) Family(prefix string) map[string]string {
	var out map[string]string
	for i, column := range r.header {
		name, ok := strings.CutPrefix(column, prefix)
		if !ok || r.Fault != nil {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = r.fields[i]
	}
	return out
}

// Reader reads one file. Not safe for concurrent use.
type Reader struct {
	bound  *bound
	csv    *csv.Reader
	header []string
	next   int // The line on which the next row begins, at least.
}

// byteOrderMark is what some programs put before UTF-8.
var byteOrderMark = []byte("\ufeff")

// Open reads the header. It fails with an *Error where that is none of columns, and with r's own error.
func Open(r io.Reader, columns Columns) (*Reader, error) {
	b := &bound{r: bufio.NewReader(r)}
	if head, err := b.r.Peek(len(byteOrderMark)); err == nil && bytes.Equal(head, byteOrderMark) {
		_, _ = b.r.Discard(len(byteOrderMark)) // They are buffered.
	}
	t := &Reader{bound: b, csv: csv.NewReader(b), next: 1}
	t.csv.FieldsPerRecord = -1 // Checked here, as a fault of the row.
	fields, line, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil, &Error{Line: 1, Message: "the file is empty: it begins with a header that names the columns"}
	}
	if err != nil {
		return nil, err
	}
	for i, name := range fields {
		name = strings.TrimSpace(name)
		switch {
		case !utf8.ValidString(name):
			return nil, &Error{Line: line, Message: "the header is not UTF-8"}
		case !columns.take(name):
			return nil, &Error{Line: line, Column: name, Message: fmt.Sprintf("unknown column %q: use %s", name, columns.list())}
		case slices.Contains(t.header, name):
			return nil, &Error{Line: line, Column: name, Message: fmt.Sprintf("the column %q is there twice", name)}
		case i >= MaxColumns:
			return nil, &Error{Line: line, Message: fmt.Sprintf("there are more than %d columns", MaxColumns)}
		}
		t.header = append(t.header, name)
	}
	for _, name := range columns.Required {
		if !slices.Contains(t.header, name) {
			return nil, &Error{Line: line, Column: name, Message: fmt.Sprintf("there is no column %q", name)}
		}
	}
	return t, nil
}

// Columns are the file's, in its order.
func (t *Reader) Columns() []string { return t.header }

// Next reads a row. Its error is io.EOF behind the last one, an *Error where the file cannot be read on, or the reader's own.
func (t *Reader) Next() (Row, error) {
	fields, line, err := t.read()
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: line, header: t.header, fields: fields}
	if len(fields) != len(t.header) {
		row.Fault = &Error{Line: line, Message: fmt.Sprintf("has %d fields, and the header %d", len(fields), len(t.header))}
		return row, nil
	}
	for i, f := range fields {
		if len(f) > MaxField {
			row.Fault = &Error{Line: line, Column: t.header[i], Message: fmt.Sprintf("is longer than %d bytes", MaxField)}
			break
		}
		if !utf8.ValidString(f) {
			row.Fault = &Error{Line: line, Column: t.header[i], Message: "is not UTF-8"}
			break
		}
	}
	return row, nil
}

func (t *Reader) read() (fields []string, line int, err error) {
	t.bound.left = t.csv.InputOffset() + MaxRow + readAhead - t.bound.taken
	fields, err = t.csv.Read()
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, 0, &Error{Line: parse.StartLine, Message: "the file is not CSV from here on: " + parse.Err.Error()}
	}
	if errors.Is(err, errRowTooLong) {
		return nil, 0, &Error{Line: t.next, Message: fmt.Sprintf("a row is longer than %d bytes: is a quote not closed?", MaxRow)}
	}
	if err != nil {
		return nil, 0, err
	}
	line, _ = t.csv.FieldPos(0)
	t.next = line + 1
	for _, f := range fields {
		t.next += strings.Count(f, "\n")
	}
	return fields, line, nil
}

// readAhead is how much csv.Reader may have buffered beyond the row that it reads.
const readAhead = 4 << 10

var errRowTooLong = errors.New("row too long")

// bound ends a row that is too long. left is how much may be read before the row that is being read is that.
type bound struct {
	r           *bufio.Reader
	taken, left int64
}

func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.taken += int64(n)
	b.left -= int64(n)
	return n, err
}
