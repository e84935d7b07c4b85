package connectapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
)

// interceptor is what surrounds every handler: a panic becomes an error, the limits in the protos are kept, and what
// comes back is mapped. Who may call was settled before, by the gate.
type interceptor struct {
	log       *slog.Logger
	validator protovalidate.Validator
}

var _ connect.Interceptor = interceptor{}

// WrapUnary implements connect.Interceptor.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		procedure := req.Spec().Procedure
		defer func() {
			if r := recover(); r != nil {
				res, err = nil, i.panicked(ctx, procedure, r)
			}
		}()
		message, ok := req.Any().(proto.Message)
		if !ok {
			return nil, mapError(ctx, i.log, procedure, nil, fmt.Errorf("%T is not a protobuf message", req.Any()))
		}
		if err := validate(i.validator, message); err != nil {
			return nil, mapError(ctx, i.log, procedure, message, err)
		}
		called, err := withCall(ctx, procedure, message)
		if err != nil {
			return nil, mapError(ctx, i.log, procedure, message, err)
		}
		res, err = next(called, req)
		if err != nil {
			return nil, mapError(ctx, i.log, procedure, message, err)
		}
		return res, nil
	}
}

// WrapStreamingClient implements connect.Interceptor: there are no clients here.
func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor. What a write has to know of its call stands in the first message, which the
// handler reads: see begin.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		procedure := conn.Spec().Procedure
		defer func() {
			if r := recover(); r != nil {
				err = i.panicked(ctx, procedure, r)
			}
		}()
		if err := next(ctx, &checkedConn{conn, i.validator}); err != nil {
			return mapError(ctx, i.log, procedure, nil, err)
		}
		return nil
	}
}

// panicked is the error of a call whose handler panicked with r.
func (i interceptor) panicked(ctx context.Context, procedure string, r any) error {
	i.log.ErrorContext(ctx, "handler panicked", "procedure", procedure, "request_id", requestID(ctx),
		"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return internalError(ctx)
}

// checkedConn keeps the limits in the protos for each message of a stream.
type checkedConn struct {
	connect.StreamingHandlerConn
	validator protovalidate.Validator
}

// Receive implements connect.StreamingHandlerConn.
func (c *checkedConn) Receive(m any) error {
	if err := c.StreamingHandlerConn.Receive(m); err != nil {
		return err
	}
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", m)
	}
	return validate(c.validator, message)
}

// validate keeps the limits that stand in the protos.
func validate(validator protovalidate.Validator, m proto.Message) error {
	err := validator.Validate(m)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	bad := &errdetails.BadRequest{}
	for _, v := range invalid.Violations {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: protovalidate.FieldPathString(v.Proto.GetField()), Description: v.Proto.GetMessage(),
		})
	}
	ce := connect.NewError(connect.CodeInvalidArgument, errors.New("invalid"))
	if len(bad.FieldViolations) > 0 {
		first := bad.FieldViolations[0]
		ce = connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%s: %s", first.GetField(), first.GetDescription()))
	}
	attach(ce, bad)
	return ce
}
