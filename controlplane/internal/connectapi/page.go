package connectapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"maps"
	"slices"

	"tollgate/controlplane/internal/licensing"
)

// Page sizes of the lists that are cut here.
const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// pageSize clamps what was asked for.
func pageSize(asked int) int {
	if asked <= 0 {
		return defaultPageSize
	}
	return min(asked, maxPageSize)
}

// query is what a page token is bound to: the list, and what narrows it.
type query struct {
	list string
	by   []string
}

func newQuery(list string, f filter, more ...string) query {
	by := slices.Clone(more)
	for _, field := range slices.Sorted(maps.Keys(f)) {
		by = append(by, field, f[field])
	}
	return query{list, by}
}

const sumSize = 12

// sum covers the query and the cursor, so that a token which was cut, altered or made for another query does
// not fit. It keeps no secret: a cursor is a key that its reader has seen.
func (q query) sum(cursor string) []byte {
	h := sha256.New()
	for _, s := range append([]string{"page", q.list, cursor}, q.by...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		_, _ = io.WriteString(h, s) // A hash never fails to write.
	}
	return h.Sum(nil)[:sumSize]
}

// token makes the opaque token of the page after cursor. No cursor: no further page.
func (q query) token(cursor string) string {
	if cursor == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(q.sum(cursor), cursor...))
}

// cursor is where the page starts that a token names; empty for the first page.
func (q query) cursor(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= sumSize {
		return "", invalidField("page_token", "not a page token: pass next_page_token as it came")
	}
	cursor := string(b[sumSize:])
	if !bytes.Equal(b[:sumSize], q.sum(cursor)) {
		return "", invalidField("page_token", "made for another query, or altered: keep the filter and bounds of the first page")
	}
	return cursor, nil
}

// listRequest is what every request for a list has.
type listRequest interface {
	GetPageSize() int32
	GetPageToken() string
}

// list answers a list of the domain. name names the list in page tokens.
func list[T, P any](
	ctx context.Context, name string, req listRequest,
	read func(context.Context, licensing.List) (licensing.Page[T], error), convert func(*T) P,
) (items []P, next string, err error) {
	var f filter
	if filtered, ok := req.(interface{ GetFilter() string }); ok {
		if f, err = parseFilter(filtered.GetFilter()); err != nil {
			return nil, "", err
		}
	}
	q := newQuery(name, f)
	after, err := q.cursor(req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	page, err := read(ctx, licensing.List{PageSize: int(req.GetPageSize()), After: after, Filter: f})
	if err != nil {
		return nil, "", err
	}
	return each(page.Items, convert), q.token(page.Next), nil
}
