package connectapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
)

// errorDomain is the domain of ErrorInfo details.
const errorDomain = "tollgate"

// invalidField is the error of a field of the request that this package reads itself.
func invalidField(field, format string, args ...any) error {
	return &licensing.Error{Code: licensing.InvalidArgument, Field: field, Message: fmt.Sprintf(format, args...)}
}

// pathIn is the path, in the request, of a field that the domain complains of: the domain sees a feature with a
// key, the caller sent {feature: {key: …}}. A path that is not of the request, as those in a catalog file, stays.
func pathIn(req proto.Message, field string) string {
	first := field[:len(field)-len(strings.TrimLeft(field, "abcdefghijklmnopqrstuvwxyz0123456789_"))]
	fields := req.ProtoReflect().Descriptor().Fields()
	if first == "" {
		return field
	}
	if f := fields.ByName(protoreflect.Name(first)); f != nil {
		// An issuer has an issuer: the domain means its own field, never the whole object.
		if m := f.Message(); m != nil && !f.IsMap() && !f.IsList() && m.Fields().ByName(f.Name()) != nil {
			return first + "." + field
		}
		return field
	}
	for i := range fields.Len() {
		object := fields.Get(i)
		if object.Message() != nil && !object.IsMap() && !object.IsList() && object.Message().Fields().ByName(protoreflect.Name(first)) != nil {
			return string(object.Name()) + "." + field
		}
	}
	return field
}

var codes = map[licensing.Code]connect.Code{
	licensing.InvalidArgument:    connect.CodeInvalidArgument,
	licensing.NotFound:           connect.CodeNotFound,
	licensing.AlreadyExists:      connect.CodeAlreadyExists,
	licensing.FailedPrecondition: connect.CodeFailedPrecondition,
	licensing.Aborted:            connect.CodeAborted,
	licensing.Unauthenticated:    connect.CodeUnauthenticated,
	licensing.PermissionDenied:   connect.CodePermissionDenied,
}

// mapError turns what the domain says into what the caller gets. What is nobody's to act on is logged here, under
// the id that the caller gets, and nothing of it gets out.
// req is nil where the call was refused before it was read.
func mapError(ctx context.Context, log *slog.Logger, procedure string, req proto.Message, err error) error {
	if ce, ok := errors.AsType[*connect.Error](err); ok {
		return ce // Of this package or of connect itself.
	}
	if e, ok := errors.AsType[*licensing.Error](err); ok {
		if code, known := codes[e.Code]; known {
			return domainError(code, e, req)
		}
	}
	switch {
	case errors.Is(err, metering.ErrInvalid), errors.Is(err, fleet.ErrInvalid):
		return connect.NewError(connect.CodeInvalidArgument, errors.New(lastPart(err)))
	case errors.Is(err, metering.ErrNotFound):
		return connect.NewError(connect.CodeNotFound, metering.ErrNotFound)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the call's time was up"))
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, errors.New("the caller went away"))
	case isAway(err):
		log.WarnContext(ctx, "database away", "procedure", procedure, "request_id", requestID(ctx), "error", err)
		if mayBeWritten(err) {
			return connect.NewError(connect.CodeUnavailable, errors.New("the database went away before it said whether this was written: "+
				"ask again with the same request_id, which has one effect, or look. Requests through the proxies go on"))
		}
		return connect.NewError(connect.CodeUnavailable,
			errors.New("the database cannot be reached, so nothing was read or written: try again. Requests through the proxies go on"))
	default:
		log.ErrorContext(ctx, "call failed", "procedure", procedure, "request_id", requestID(ctx), "error", err)
		return internalError(ctx)
	}
}

// internalError tells the caller no more than where to look.
func internalError(ctx context.Context) error {
	return connect.NewError(connect.CodeInternal, fmt.Errorf("something went wrong here; the control plane's log has it as %s", requestID(ctx)))
}

func domainError(code connect.Code, e *licensing.Error, req proto.Message) error {
	told := *e
	if req != nil {
		told.Field = pathIn(req, e.Field)
	}
	ce := connect.NewError(code, &told)
	bad := &errdetails.BadRequest{}
	for _, fault := range append([]*licensing.Error{&told}, e.More...) {
		if fault.Field != "" {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: fault.Field, Description: fault.Message})
		}
	}
	if len(bad.FieldViolations) > 0 {
		attach(ce, bad)
	}
	attach(ce, &errdetails.ErrorInfo{Reason: strings.ToUpper(string(e.Code)), Domain: errorDomain, Metadata: e.Details})
	return ce
}

func attach(ce *connect.Error, m proto.Message) {
	// A detail that cannot be encoded is left out: the message says it all in words.
	if d, err := connect.NewErrorDetail(m); err == nil {
		ce.AddDetail(d)
	}
}

// lastPart takes off what was being done, which is for logs.
func lastPart(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(next) {
		if next == metering.ErrInvalid || next == fleet.ErrInvalid { //nolint:errorlint // Looks for the link above this one.
			break
		}
		err = next
	}
	return err.Error()
}

// isAway reports whether an error means that the database is not there now: it refuses, breaks or times out
// connections, or says itself that it starts, stops or is full. SQLSTATE is asked for without knowing the driver.
func isAway(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		s := state.SQLState()
		return strings.HasPrefix(s, "08") || strings.HasPrefix(s, "57P") || s == "53300"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

// mayBeWritten reports whether a write was lost sight of as it was to be made final.
func mayBeWritten(err error) bool {
	var m interface{ MayBeWritten() bool }
	return errors.As(err, &m) && m.MayBeWritten()
}
