// Package catalog reads the catalog file: what is sold and how it is reached, as YAML kept beside code.
package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/controlplane/internal/licensing"
)

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 4 << 20

// Parse reads a catalog file. It is strict: an unknown key is an error, as is a value of the wrong type, each with
// its line. Errors are *licensing.Error. What objects say is checked by Catalog.Validate and when it is applied.
func Parse(data []byte) (licensing.Catalog, error) {
	if len(data) > MaxSize {
		return licensing.Catalog{}, wrong("the file is larger than %d bytes", MaxSize)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var f file
	if err := dec.Decode(&f); errors.Is(err, io.EOF) {
		return licensing.Catalog{}, wrong("the file is empty: it has to begin with version: 1")
	} else if err != nil {
		return licensing.Catalog{}, readable(err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return licensing.Catalog{}, wrong("the file has more than one document")
	}
	if f.Version != 1 {
		return licensing.Catalog{}, wrong("version is %d: this build reads version: 1", int64(f.Version))
	}
	if err := f.check(); err != nil {
		return licensing.Catalog{}, err
	}
	return f.catalog(), nil
}

func wrong(format string, args ...any) *licensing.Error {
	return &licensing.Error{Code: licensing.InvalidArgument, Field: "yaml", Message: fmt.Sprintf(format, args...)}
}

var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (.*) not found in type .*$`)
	wrongType  = regexp.MustCompile("^line (\\d+): cannot unmarshal (!!\\w+)(?: `(.*)`)? into .*$")
)

// readable says what is wrong in the file's words instead of Go's.
func readable(err error) error {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		return wrong("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	lines := make([]string, len(types.Errors))
	for i, e := range types.Errors {
		switch {
		case unknownKey.MatchString(e):
			e = unknownKey.ReplaceAllString(e, `line $1: unknown key "$2"`)
		case wrongType.MatchString(e):
			m := wrongType.FindStringSubmatch(e)
			e = fmt.Sprintf("line %s: %s is of the wrong type here", m[1], found(m[2], m[3]))
		}
		lines[i] = e
	}
	return wrong("%s", strings.Join(lines, "; "))
}

func found(tag, value string) string {
	switch tag {
	case "!!seq":
		return "a list"
	case "!!map":
		return "a mapping"
	default:
		return fmt.Sprintf("%q", value)
	}
}
