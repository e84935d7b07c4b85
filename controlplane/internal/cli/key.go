package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/internal/table"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func rotateKeyCommand() *cobra.Command {
	return calling(verb{
		use: "rotate ID", short: "Make a new API key in the place of one",
		example: "  tollgate keys rotate key_01K0… --overlap 24h   # both work for a day\n  tollgate keys rotate key_01K0…                 # the old one ends at once",
		args:    cobra.ExactArgs(1),
		view: view{field: "api_key", columns: []column{
			{"ID", "id"}, {"LICENSE", "license"}, {"SECRET", ".secret"}, {"OLD", ".old.id"}, {"OLD EXPIRES", ".old.expires_at"},
			{"OLD REVOKED", ".old.revoke_time"}, {"EPOCH", ".epoch"},
		}},
		note: "The secret is shown this once: keep it now.",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Duration("overlap", 0, "how long the old key goes on, at most 720h; 0: it is revoked at once")
			cmd.Flags().Var(&instant{}, "expires-at", "when the new key expires (default never)")
		},
	}, (*client).credential, credentialClient.RotateApiKey,
		func(cmd *cobra.Command, args []string, req *adminv1.RotateApiKeyRequest) error {
			overlap, _ := cmd.Flags().GetDuration("overlap") // Declared above.
			req.Id, req.Overlap, req.ExpiresAt = args[0], durationpb.New(overlap), instantOf(cmd, "expires-at")
			return nil
		})
}

// keyColumns are those of a file of keys.
var keyColumns = table.Columns{
	Required: []string{"sha256"}, Optional: []string{"license", "license_external_id", "display_name", "expires_at", "prefix"},
}

func importKeysCommand() *cobra.Command {
	return verb{
		use: "import -f FILE", short: "Import API keys that clients hold already, by their SHA-256",
		example: "  tollgate keys import -f keys.csv --validate-only\n  tollgate keys import -f keys.csv\n  tollgate keys import -f - < keys.csv",
		flags: func(cmd *cobra.Command) {
			addImportFlags(cmd, "sha256, and license or license_external_id, and any of display_name, expires_at, prefix")
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		file, err := importFile(cmd)
		if err != nil {
			return err
		}
		defer file.Close()
		k, err := readKeys(file)
		if err != nil {
			return err
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		// All are checked before the first is stored, which is done in parts.
		answer, err := k.send(cmd, c.credential(), true)
		if err != nil {
			return err
		}
		if k.bad.GetFailed() > 0 {
			if err := show(cmd, k.bad, importErrors("errors")); err != nil {
				return err
			}
			return fmt.Errorf("nothing was imported: %d rows are wrong", k.bad.GetFailed())
		}
		if validateOnly, _ := cmd.Flags().GetBool(validateOnlyFlag); !validateOnly {
			if answer, err = k.send(cmd, c.credential(), false); err != nil {
				return err
			}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d keys are new, %d were there already.\n", answer.GetImported(), int32(len(k.keys))-answer.GetImported())
		return show(cmd, answer, view{field: "results", columns: []column{{"API KEY", "api_key"}, {"EXISTED", "existed"}}})
	})
}

// keyFile is a file of keys, and what is wrong with it.
type keyFile struct {
	keys  []*adminv1.HashedApiKey
	lines []int32 // Of keys.
	bad   *adminv1.ImportResult
}

func (k *keyFile) fail(line int32, field, message string) {
	k.bad.Failed++
	k.bad.Errors = append(k.bad.Errors, &adminv1.ImportError{Line: line, Field: field, Message: message})
}

func readKeys(r io.Reader) (*keyFile, error) {
	t, err := table.Open(r, keyColumns)
	if err != nil {
		return nil, fmt.Errorf("the file: %w", err)
	}
	k := &keyFile{bad: &adminv1.ImportResult{}}
	for {
		row, err := t.Next()
		if errors.Is(err, io.EOF) {
			return k, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the file: %w", err)
		}
		line := int32(row.Line)
		if f := row.Fault; f != nil {
			k.fail(line, f.Column, f.Message)
			continue
		}
		key := &adminv1.HashedApiKey{
			License: row.Get("license"), LicenseExternalId: row.Get("license_external_id"), DisplayName: row.Get("display_name"),
			Sha256: row.Get("sha256"), Prefix: row.Get("prefix"),
		}
		if text := row.Get("expires_at"); text != "" {
			at, err := fileTime(text)
			if err != nil {
				k.fail(line, "expires_at", err.Error())
				continue
			}
			key.ExpiresAt = timestamppb.New(at)
		}
		k.keys, k.lines = append(k.keys, key), append(k.lines, line)
	}
}

// fileTime reads RFC 3339 or a day. A span from now, which flags take, means nothing in a file.
func fileTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("is neither a time like 2027-01-31T15:04:05Z nor a day like 2027-01-31")
}

// keysAtOnce is how many keys one call takes.
const keysAtOnce = 1000

// send sends all keys, and joins the answers. What the API finds wrong with rows is noted, and is no error.
func (k *keyFile) send(cmd *cobra.Command, credentials credentialClient, validateOnly bool) (*adminv1.ImportApiKeysResponse, error) {
	all := &adminv1.ImportApiKeysResponse{}
	for from := 0; from < len(k.keys); from += keysAtOnce {
		part := k.keys[from:min(from+keysAtOnce, len(k.keys))]
		res, err := credentials.ImportApiKeys(cmd.Context(), &adminv1.ImportApiKeysRequest{ApiKeys: part, ValidateOnly: validateOnly})
		switch {
		case err != nil && validateOnly && k.note(from, err):
			continue
		case err != nil && from > 0 && !validateOnly && !errors.Is(err, context.Canceled):
			return nil, fmt.Errorf("%w (the keys above line %d are imported: import the file again to go on)", err, k.lines[from])
		case err != nil:
			return nil, err
		}
		all.Results, all.Imported, all.Epoch = append(all.Results, res.GetResults()...), all.Imported+res.GetImported(), res.GetEpoch()
		if from > 0 && from%(10*keysAtOnce) == 0 && !validateOnly {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d keys\n", from, len(k.keys))
		}
	}
	slices.SortStableFunc(k.bad.Errors, func(a, b *adminv1.ImportError) int { return int(a.GetLine() - b.GetLine()) })
	return all, nil
}

// note takes down what a refusal says of single keys. False where it says nothing of any.
func (k *keyFile) note(from int, err error) bool {
	ce, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return false
	}
	noted := false
	for _, d := range ce.Details() {
		v, err := d.Value()
		bad, ok := v.(*errdetails.BadRequest)
		if err != nil || !ok {
			continue
		}
		for _, f := range bad.GetFieldViolations() {
			index, field, ok := strings.Cut(strings.TrimPrefix(f.GetField(), "api_keys["), "]")
			i, err := strconv.Atoi(index)
			if !ok || err != nil || i < 0 || from+i >= len(k.lines) {
				continue
			}
			k.fail(k.lines[from+i], strings.TrimPrefix(field, "."), f.GetDescription())
			noted = true
		}
	}
	return noted
}
