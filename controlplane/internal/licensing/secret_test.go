package licensing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
)

// Neither a key nor a token is anywhere in the database, in no column and in no change set.
func TestI12_SecretsAreNeverStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1))
	_, key, _, err := f.CreateAPIKey(t.Context(), licensing.APIKey{License: f.license("c").ID})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := f.CreateToken(t.Context(), licensing.Token{Role: licensing.Owner})
	if err != nil {
		t.Fatal(err)
	}
	// A key's label and id may be known; what follows them is the secret.
	keySecret := key[strings.LastIndexByte(key, '_')+1:]
	tokenSecret := strings.TrimPrefix(token, "tga_")
	conn, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	rows, err := conn.Query(t.Context(), `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND data_type IN ('text', 'bytea', 'jsonb', 'ARRAY', 'character varying')`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Column string }])
	if err != nil {
		t.Fatal(err)
	}
	if len(columns) < 40 {
		t.Fatalf("only %d columns found", len(columns))
	}
	for _, c := range columns {
		id := pgx.Identifier{c.Column}.Sanitize()
		from := pgx.Identifier{c.Table}.Sanitize()
		for _, secret := range []string{keySecret, tokenSecret, keySecret[:12], tokenSecret[:12]} {
			var n int
			statement := fmt.Sprintf(`SELECT count(*) FROM %s WHERE position($1::bytea IN convert_to(%s::text, 'UTF8')) > 0
				OR position(encode($1::bytea, 'hex') IN %s::text) > 0`, from, id, id)
			if err := conn.QueryRow(t.Context(), statement, []byte(secret)).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n != 0 {
				t.Errorf("%s.%s holds a secret", c.Table, c.Column)
			}
		}
	}
}

func TestTokens_AuthenticateUntilRevoked(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	made, secret, err := f.CreateToken(ctx, licensing.Token{DisplayName: "ci", Role: licensing.Editor})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, "tga_") || len(secret) != 51 || !strings.HasPrefix(made.ID, "tok_") {
		t.Errorf("token %s has a secret of %d characters", made.ID, len(secret))
	}
	got, err := f.Authenticate(ctx, secret)
	if err != nil || got.ID != made.ID || got.Role != licensing.Editor || got.DisplayName != "ci" {
		t.Fatalf("authenticated as %+v, %v", got, err)
	}
	swapped := []byte(secret)
	swapped[10] ^= 1
	for _, bad := range []string{"", "tga_", "tg_x", string(swapped), secret + "a", strings.ToUpper(secret), strings.Repeat("x", 1<<16)} {
		_, err := f.Authenticate(ctx, bad)
		wantCode(t, err, licensing.Unauthenticated)
	}
	other, err := licensing.NewTokenSecret()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Authenticate(ctx, other)
	wantCode(t, err, licensing.Unauthenticated)

	if _, err := f.RevokeToken(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(time.Minute)
	again, err := f.RevokeToken(ctx, made.ID)
	if err != nil || !again.RevokeTime.Equal(made.CreateTime) {
		t.Errorf("revoked again: %v, %v", again.RevokeTime, err)
	}
	_, err = f.Authenticate(ctx, secret)
	wantCode(t, err, licensing.Unauthenticated, "revoked")
	_, err = f.RevokeToken(ctx, "tok_none")
	wantCode(t, err, licensing.NotFound)
}

// Control planes that are handed the same token end up with one.
func TestImportToken_IsIdempotent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	secret, err := licensing.NewTokenSecret()
	if err != nil {
		t.Fatal(err)
	}
	ids := make(chan string, 8)
	for range cap(ids) {
		go func() {
			k, err := f.ImportToken(t.Context(), licensing.Token{Role: licensing.Owner}, secret)
			if err != nil {
				t.Error(err)
			}
			ids <- k.ID
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("tokens %s and %s of one secret", first, id)
		}
	}
	_, err = f.ImportToken(t.Context(), licensing.Token{Role: licensing.Owner}, "tga_hunter2")
	wantCode(t, err, licensing.InvalidArgument)
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error shows the secret")
	}
}
