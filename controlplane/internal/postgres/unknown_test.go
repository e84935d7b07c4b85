package postgres

import (
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What a caller is told of a commit that failed: where the server has said no, that nothing was written; where it has said nothing, that it may be.
func TestUnknown_TellsARefusedCommitFromOneThatWasLostSightOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err error
		may bool
	}{
		"the connection broke":             {fmt.Errorf("commit: %w", io.ErrUnexpectedEOF), true},
		"the server was stopped":           {&pgconn.PgError{Code: "57P01"}, true},
		"the server refused":               {&pgconn.PgError{Code: "40001"}, false},
		"the transaction had failed":       {fmt.Errorf("commit: %w", pgx.ErrTxCommitRollback), false},
		"a late statement was refused":     {&lateError{"store", &pgconn.PgError{Code: "23505"}}, false},
		"it broke at a late statement":     {&lateError{"store", io.EOF}, true},
		"it broke while a row was awaited": {fmt.Errorf("commit: %w", &lateError{"store", io.ErrUnexpectedEOF}), true},
	} {
		got := unknown(c.err)
		m, ok := got.(interface{ MayBeWritten() bool })
		if may := ok && m.MayBeWritten(); may != c.may {
			t.Errorf("%s: %v: may be written %t, want %t", name, got, may, c.may)
		}
	}
}
