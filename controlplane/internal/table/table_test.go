package table_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"tollgate/controlplane/internal/table"
)

var columns = table.Columns{Required: []string{"id"}, Optional: []string{"name"}, Families: []string{"metadata."}}

// read is all rows of a file, as "line:id/name", a fault as "line!column", and how it ended.
func read(t *testing.T, r io.Reader) (rows []string, end error) {
	t.Helper()
	f, err := table.Open(r, columns)
	if err != nil {
		return nil, err
	}
	for {
		row, err := f.Next()
		if err != nil {
			return rows, err
		}
		line := string(rune('0' + row.Line))
		if row.Fault != nil {
			rows = append(rows, line+"!"+row.Fault.Column)
			continue
		}
		rows = append(rows, line+":"+row.Get("id")+"/"+row.Get("name"))
	}
}

func TestReader_ReadsWhatProgramsWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"plain":              {"id,name\na,A\nb,B\n", []string{"2:a/A", "3:b/B"}},
		"another order":      {"name,id\nA,a\n", []string{"2:a/A"}},
		"no newline at end":  {"id\na", []string{"2:a/"}},
		"byte order mark":    {"\ufeffid\na\n", []string{"2:a/"}},
		"windows":            {"id,name\r\na,A\r\n", []string{"2:a/A"}},
		"quotes":             {"id,name\n\"a\",\"A, \"\"B\"\"\"\n", []string{`2:a/A, "B"`}},
		"a row of two lines": {"id,name\na,\"A\nB\"\nb,B\n", []string{"2:a/A\nB", "4:b/B"}},
		"blank lines":        {"id\n\na\n\n", []string{"3:a/"}},
		"header only":        {"id\n", nil},
		"spaces in header":   {" id , name\na,A\n", []string{"2:a/A"}},
		"too few fields":     {"id,name\na\nb,B\n", []string{"2!", "3:b/B"}},
		"too many fields":    {"id\na,A\nb\n", []string{"2!", "3:b/"}},
		"not UTF-8":          {"id,name\na,\xff\nb,B\n", []string{"2!name", "3:b/B"}},
		"a long field":       {"id,name\na," + strings.Repeat("x", table.MaxField+1) + "\nb,B\n", []string{"2!name", "3:b/B"}},
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(c.file), "in bytes": iotest.OneByteReader(strings.NewReader(c.file))} {
			rows, end := read(t, r)
			if !slices.Equal(rows, c.want) || !errors.Is(end, io.EOF) {
				t.Errorf("%s, %s: %q, %v", name, how, rows, end)
			}
		}
	}
}

func TestReader_SaysWhereAFileCannotBeReadOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		line int
		rows int
		says string
	}{
		"empty":              {"", 1, 0, "empty"},
		"unknown column":     {"id,colour\n", 1, 0, `unknown column "colour": use id, name, metadata.<name>`},
		"family alone":       {"id,metadata.\n", 1, 0, `unknown column "metadata."`},
		"column twice":       {"id,id\n", 1, 0, "twice"},
		"column missing":     {"name\n", 1, 0, `no column "id"`},
		"header of UTF-16":   {"\xff\xfei\x00d\x00\n", 1, 0, "not UTF-8"},
		"too many columns":   {"id" + manyColumns() + "\n", 1, 0, "more than 100 columns"},
		"bare quote":         {"id\na\nb\"b\nc\n", 3, 1, "not CSV"},
		"quote not closed":   {"id\na\n\"b\nc\n", 3, 1, "not CSV"},
		"a row without end":  {"id\na\n\"" + strings.Repeat("x", 2*table.MaxRow), 3, 1, "longer than"},
		"a line without end": {"id\na\n" + strings.Repeat("x", 2*table.MaxRow), 3, 1, "longer than"},
	} {
		rows, end := read(t, strings.NewReader(c.file))
		e, ok := errors.AsType[*table.Error](end)
		if !ok || e.Line != c.line || !strings.Contains(e.Error(), c.says) || len(rows) != c.rows {
			t.Errorf("%s: %d rows, %v", name, len(rows), end)
		}
	}
}

func manyColumns() string {
	var b strings.Builder
	for i := range 101 {
		b.WriteString(",metadata." + strings.Repeat("m", i+1))
	}
	return b.String()
}

// Long rows are bounded each by itself, however many there are.
func TestReader_BoundsARowAndNotTheFile(t *testing.T) {
	t.Parallel()
	row := "a," + strings.Repeat("x", table.MaxField) + "\n"
	rows, end := read(t, strings.NewReader("id,name\n"+strings.Repeat(row, 200)))
	if len(rows) != 200 || !errors.Is(end, io.EOF) {
		t.Errorf("%d rows, %v", len(rows), end)
	}
}

func TestReader_PassesItsReadersError(t *testing.T) {
	t.Parallel()
	broken := errors.New("cut")
	rows, end := read(t, io.MultiReader(strings.NewReader("id\na\nhal"), iotest.ErrReader(broken)))
	if !errors.Is(end, broken) || !slices.Equal(rows, []string{"2:a/"}) {
		t.Errorf("%q, %v: half a row is none", rows, end)
	}
}

// Whatever comes in: rows in order of their lines, of valid text within bounds, and an end.
func FuzzReader_NeverReturnsWhatItShouldNot(f *testing.F) {
	for _, seed := range []string{
		"id,name\na,A\n", "\ufeffid\n\"a\nb\"\n", "id\n\"", "id,metadata.x\na,\xff\n", "id\r\na\r\n\r\n", "id,id", "", "\x00", "id\na,b,c\n,\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := table.Open(strings.NewReader(string(file)), columns)
		if err != nil {
			if _, ok := errors.AsType[*table.Error](err); !ok {
				t.Fatalf("the header: %v", err)
			}
			return
		}
		for last := 1; ; {
			row, err := r.Next()
			if err != nil {
				if e, ok := errors.AsType[*table.Error](err); !errors.Is(err, io.EOF) && (!ok || e.Line <= last) {
					t.Fatalf("after line %d: %v", last, err)
				}
				return
			}
			if row.Line <= last {
				t.Fatalf("line %d after %d", row.Line, last)
			}
			last = row.Line
			for _, c := range r.Columns() {
				if v := row.Get(c); !utf8.ValidString(v) || len(v) > table.MaxField || row.Fault != nil && v != "" {
					t.Fatalf("line %d: %s is %q", row.Line, c, v)
				}
			}
		}
	})
}
