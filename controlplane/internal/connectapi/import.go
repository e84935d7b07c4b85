package connectapi

import (
	"context"
	"errors"
	"io"
	"iter"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/table"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func (s customerService) ImportCustomers(ctx context.Context, stream *connect.ClientStream[adminv1.ImportCustomersRequest]) (*adminv1.ImportCustomersResponse, error) {
	ctx, rows, err := begin(ctx, stream, customerColumns, fromCustomerRow)
	if err != nil {
		return nil, err
	}
	imported, epoch, err := s.licensing.ImportCustomers(ctx, rows)
	if err != nil {
		return nil, err
	}
	return &adminv1.ImportCustomersResponse{Result: toImportResult(&imported), Epoch: toEpoch(epoch)}, nil
}

func (s licenseService) ImportLicenses(ctx context.Context, stream *connect.ClientStream[adminv1.ImportLicensesRequest]) (*adminv1.ImportLicensesResponse, error) {
	ctx, rows, err := begin(ctx, stream, licenseColumns, fromLicenseRow)
	if err != nil {
		return nil, err
	}
	imported, epoch, err := s.licensing.ImportLicenses(ctx, rows)
	if err != nil {
		return nil, err
	}
	return &adminv1.ImportLicensesResponse{Result: toImportResult(&imported), Epoch: toEpoch(epoch)}, nil
}

// piece is a message that carries a piece of a file.
type piece[M any] interface {
	*M
	proto.Message
	GetCsv() []byte
	GetRequestId() string
	GetValidateOnly() bool
}

// begin reads the first piece of a file, which says what the call is, and the file's header. Its rows are read as they are ranged
// over.
func begin[M any, P piece[M], T any](
	ctx context.Context, stream *connect.ClientStream[M], columns table.Columns, convert func(*table.Row, []string) (T, *licensing.Error),
) (context.Context, iter.Seq2[licensing.ImportRow[T], error], error) {
	file := &pieces[M, P]{stream: stream}
	first := P(new(M))
	if stream.Receive() {
		first = stream.Msg()
	} else if err := stream.Err(); err != nil {
		return nil, nil, err
	}
	file.rest = first.GetCsv()
	// How the file is cut into pieces does not make it another call.
	asked := proto.Clone(first)
	asked.ProtoReflect().Clear(asked.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name("csv")))
	ctx, err := withCall(ctx, stream.Spec().Procedure, asked)
	if err != nil {
		return nil, nil, err
	}
	t, err := table.Open(file, columns)
	if e, ok := errors.AsType[*table.Error](err); ok {
		return nil, nil, invalidField("csv", "%s", e.Error())
	}
	if err != nil {
		return nil, nil, err
	}
	return ctx, rowsOf(t, convert), nil
}

// rowsOf are the rows of a file as the domain takes them.
func rowsOf[T any](t *table.Reader, convert func(*table.Row, []string) (T, *licensing.Error)) iter.Seq2[licensing.ImportRow[T], error] {
	return func(yield func(licensing.ImportRow[T], error) bool) {
		for {
			row, err := t.Next()
			out := licensing.ImportRow[T]{Line: row.Line}
			e, stopped := errors.AsType[*table.Error](err)
			switch {
			case errors.Is(err, io.EOF):
				return
			case stopped:
				yield(out, &licensing.ImportError{Line: e.Line, Field: e.Column, Message: e.Message})
				return
			case err != nil:
				yield(out, err)
				return
			case row.Fault != nil:
				out.Err = rowFault(row.Fault.Column, row.Fault.Message)
			default:
				out.ExternalID = row.Get("external_id")
				out.Value, out.Err = convert(&row, t.Columns())
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// pieces is the file that the messages of a stream make.
type pieces[M any, P piece[M]] struct {
	stream *connect.ClientStream[M]
	rest   []byte
}

// Read implements io.Reader.
func (p *pieces[M, P]) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if !p.stream.Receive() {
			if err := p.stream.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		m := P(p.stream.Msg())
		if m.GetRequestId() != "" || m.GetValidateOnly() {
			return 0, invalidField("request_id", "and validate_only belong in the first message")
		}
		p.rest = m.GetCsv()
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
