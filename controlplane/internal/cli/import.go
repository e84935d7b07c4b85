package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

const (
	fileFlag         = "file"
	validateOnlyFlag = "validate-only"
)

// sender sends a file, piece by piece, and returns the answer to it.
type sender = func(ctx context.Context, c *client, validateOnly bool, file io.Reader) (importAnswer, error)

// importAnswer is what the API says of a file.
type importAnswer interface {
	proto.Message
	GetResult() *adminv1.ImportResult
}

// importErrors shows which rows of a file are wrong.
func importErrors(field string, heading ...column) view {
	return view{field: field, heading: heading, columns: []column{{"LINE", "line"}, {"FIELD", "field"}, {"MESSAGE", "message"}}}
}

// importing is the verb that imports what noun names.
func importing(noun, short, columns string, send sender) *cobra.Command {
	return verb{
		use: "import -f FILE", short: short,
		example: fmt.Sprintf("  tollgate %[1]s import -f %[1]s.csv --validate-only   # says what is wrong with the file\n"+
			"  tollgate %[1]s import -f %[1]s.csv\n  tollgate %[1]s import -f - < %[1]s.csv", noun),
		flags: func(cmd *cobra.Command) { addImportFlags(cmd, columns) },
	}.command(func(cmd *cobra.Command, _ []string) error {
		file, err := importFile(cmd)
		if err != nil {
			return err
		}
		defer file.Close()
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		validateOnly, _ := cmd.Flags().GetBool(validateOnlyFlag) // Declared above.
		answer, err := send(cmd.Context(), c, validateOnly, &progress{r: file, to: cmd.ErrOrStderr(), said: time.Now()})
		if err != nil {
			return explain(c.server, err)
		}
		r := answer.GetResult()
		err = show(cmd, answer, importErrors("result.errors",
			column{"Created", "result.created"}, column{"Updated", "result.updated"}, column{"Unchanged", "result.unchanged"},
			column{"Failed", "result.failed"}, column{"Stopped at line", "result.stopped.line"}, column{"Epoch", "epoch"}))
		switch s := r.GetStopped(); {
		case err != nil:
			return err
		case s != nil:
			return fmt.Errorf("the file was read up to line %d: %s", s.GetLine(), s.GetMessage())
		case r.GetFailed() > 0:
			return fmt.Errorf("%d rows were left out: put them right and import the file again, the others stay as they are", r.GetFailed())
		}
		return nil
	})
}

func addImportFlags(cmd *cobra.Command, columns string) {
	cmd.Flags().StringP(fileFlag, "f", "", "the CSV file, - for stdin; its first line names the columns: "+columns)
	cmd.Flags().Bool(validateOnlyFlag, false, "only say what would come of it")
	_ = cmd.MarkFlagRequired(fileFlag) // Fails only where the flag is not declared.
}

// importFile opens the file that the flags name.
func importFile(cmd *cobra.Command) (io.ReadCloser, error) {
	path, _ := cmd.Flags().GetString(fileFlag) // Declared by addImportFlags.
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	return f, nil
}

// progress says now and then how much was read.
type progress struct {
	r    io.Reader
	to   io.Writer
	read int64
	said time.Time
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.read += int64(n)
	if time.Since(p.said) > 2*time.Second {
		p.said = time.Now()
		fmt.Fprintf(p.to, "%.1f MiB sent\n", float64(p.read)/(1<<20))
	}
	return n, err
}

// pieceSize is how much of a file a message carries.
const pieceSize = 256 << 10

// sendPieces sends a file. Where it cannot be read to its end, the call is canceled, so that half a row is not taken for one.
func sendPieces(cancel context.CancelFunc, file io.Reader, send func([]byte) error) error {
	for {
		piece := make([]byte, pieceSize)
		n, err := io.ReadFull(file, piece)
		if n > 0 {
			if err := send(piece[:n]); errors.Is(err, io.EOF) {
				return nil // The server has answered already: the answer says why.
			} else if err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			cancel()
			return fmt.Errorf("read the file: %w", err)
		}
	}
}

func sendCustomers(ctx context.Context, c *client, validateOnly bool, file io.Reader) (importAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.customer().ImportCustomers(ctx)
	if err != nil {
		return nil, err
	}
	err = sendPieces(cancel, file, func(piece []byte) error {
		err := stream.Send(&adminv1.ImportCustomersRequest{Csv: piece, ValidateOnly: validateOnly})
		validateOnly = false // Of the first message alone.
		return err
	})
	if err != nil {
		return nil, err
	}
	return stream.CloseAndReceive()
}

func sendLicenses(ctx context.Context, c *client, validateOnly bool, file io.Reader) (importAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.license().ImportLicenses(ctx)
	if err != nil {
		return nil, err
	}
	err = sendPieces(cancel, file, func(piece []byte) error {
		err := stream.Send(&adminv1.ImportLicensesRequest{Csv: piece, ValidateOnly: validateOnly})
		validateOnly = false // Of the first message alone.
		return err
	})
	if err != nil {
		return nil, err
	}
	return stream.CloseAndReceive()
}
