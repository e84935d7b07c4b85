package licensing

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
)

// The bounds of an import. A batch is what one write stores: it fits one epoch, and other writers get their turn between two.
const (
	maxImportRows   = 1_000_000
	importBatch     = 1000
	maxImportErrors = 100
)

// ImportRow is one row of a file that is imported.
type ImportRow[T any] struct {
	Line int
	// ExternalID is what the row is known by; it may stand in a file once.
	ExternalID string
	Value      T
	// Err is set where the row could not be read.
	Err *Error
}

// ImportError is what is wrong at one place of a file. Field is empty where no single one is.
type ImportError struct {
	Line           int
	Field, Message string
}

// Error is the line, the field and the message.
func (e *ImportError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Field, e.Message)
}

// Imported is what became of a file's rows.
type Imported struct {
	Created, Updated, Unchanged int
	// Failed rows are left out; Errors holds the first hundred.
	Failed int
	Errors []ImportError
	// Stopped says where the file could not be read on; nil: it was read to its end. What came before is stored.
	Stopped *ImportError
}

func (i *Imported) fail(line int, err *Error) {
	i.Failed++
	if len(i.Errors) < maxImportErrors {
		i.Errors = append(i.Errors, ImportError{Line: line, Field: err.Field, Message: err.Message})
	}
}

func (i *Imported) add(o *Imported) {
	i.Created += o.Created
	i.Updated += o.Updated
	i.Unchanged += o.Unchanged
	i.Failed += o.Failed
	i.Errors = append(i.Errors, o.Errors[:min(len(o.Errors), maxImportErrors-len(i.Errors))]...)
}

// importer stores rows in batches. Each batch is a write of its own: what is stored stays, whatever becomes of the rest, so that a
// file of any size neither holds up other writers nor has to be held in memory. Importing the file again goes on where it ended.
type importer[T any] struct {
	svc *Service
	// store stores what is new in a batch, and counts in out. It may run again.
	store func(ctx context.Context, w *write, batch []ImportRow[T], out *Imported) error

	call  Call
	seen  map[[16]byte]int // Lines by external id, of which a digest stands for it: a file may hold a million.
	batch []ImportRow[T]
	done  int // Batches.
	out   Imported
	epoch Epoch
}

// run reads rows to their end. An *ImportError that they yield ends the file there.
func (m *importer[T]) run(ctx context.Context, rows iter.Seq2[ImportRow[T], error]) (Imported, Epoch, error) {
	m.call, m.seen = CallOf(ctx), map[[16]byte]int{}
	n := 0
	for row, err := range rows {
		stopped, broken := errors.AsType[*ImportError](err)
		if n++; err == nil && n > maxImportRows {
			stopped, broken = &ImportError{Line: row.Line, Message: fmt.Sprintf("the file has more than %d rows: import the rest as another file", maxImportRows)}, true
		}
		if broken {
			m.out.Stopped = stopped
			break
		}
		if err != nil {
			return Imported{}, Epoch{}, err
		}
		m.check(&row)
		if m.batch = append(m.batch, row); len(m.batch) == importBatch {
			if err := m.flush(ctx); err != nil {
				return Imported{}, Epoch{}, err
			}
		}
	}
	if len(m.batch) > 0 {
		if err := m.flush(ctx); err != nil {
			return Imported{}, Epoch{}, err
		}
	}
	if m.done == 0 {
		epoch, err := m.svc.Epoch(ctx)
		return m.out, epoch, err
	}
	return m.out, m.epoch, nil
}

// check refuses what shows without looking at what is stored.
func (m *importer[T]) check(row *ImportRow[T]) {
	switch {
	case row.Err != nil:
		return
	case row.ExternalID == "":
		row.Err = invalid("external_id", "is required")
		return
	}
	// It is looked up together with others, so it has to be text that the store takes.
	if bad, _ := rowError(checkText("external_id", row.ExternalID, maxExternalID)); bad != nil {
		row.Err = bad
		return
	}
	sum := sha256.Sum256([]byte(row.ExternalID))
	key := [16]byte(sum[:])
	if line, twice := m.seen[key]; twice {
		row.Err = invalid("external_id", "is the one of line %d, too", line)
		return
	}
	m.seen[key] = row.Line
}

// flush stores the batch.
func (m *importer[T]) flush(ctx context.Context) error {
	batch := m.batch
	ctx, err := m.named(ctx, batch)
	if err != nil {
		return err
	}
	var out Imported
	epoch, err := m.svc.write(ctx, &out, func(w *write) error {
		out = Imported{}
		if err := w.stillAllowed(ctx); err != nil {
			return err
		}
		return m.store(ctx, w, batch, &out)
	})
	if err != nil {
		return err
	}
	m.out.add(&out)
	m.epoch, m.batch, m.done = epoch, nil, m.done+1
	return nil
}

// stillAllowed refuses a caller whose token was revoked while the file came, which may be hours.
func (w *write) stillAllowed(ctx context.Context) error {
	if w.call.Actor == "" {
		return nil
	}
	t, err := w.Token(ctx, w.call.Actor)
	if err == nil && !t.RevokeTime.IsZero() {
		return &Error{Code: Unauthenticated, Message: "the token was revoked while the file came: what came before is stored"}
	}
	if CodeOf(err) == NotFound { // Not every actor is a token.
		return nil
	}
	return err
}

// named gives each batch a request id of its own, so that a call that comes again goes through the same batches.
func (m *importer[T]) named(ctx context.Context, batch []ImportRow[T]) (context.Context, error) {
	c := m.call
	if c.RequestID == "" {
		return ctx, nil
	}
	c.RequestID += "/" + strconv.Itoa(m.done)
	b, err := json.Marshal(batch)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	h := sha256.New()
	h.Write(m.call.Fingerprint)
	h.Write(b)
	c.Fingerprint = h.Sum(nil)
	return WithCall(ctx, c), nil
}

// externalIDs are those of rows that can be stored.
func externalIDs[T any](batch []ImportRow[T]) []string {
	var ids []string
	for i := range batch {
		if batch[i].Err == nil {
			ids = append(ids, batch[i].ExternalID)
		}
	}
	return ids
}

// rowError is err where the row is at fault; other errors end the import.
func rowError(err error) (bad *Error, other error) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, nil
	}
	return nil, err
}
