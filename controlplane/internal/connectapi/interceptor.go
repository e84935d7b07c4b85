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
// comes back is mapped.
func interceptor(log *slog.Logger, validator protovalidate.Validator) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
			procedure := req.Spec().Procedure
			defer func() {
				if r := recover(); r != nil {
					log.ErrorContext(ctx, "handler panicked", "procedure", procedure, "request_id", requestID(ctx),
						"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
					res, err = nil, internalError(ctx)
				}
			}()
			message, ok := req.Any().(proto.Message)
			if !ok {
				return nil, mapError(ctx, log, procedure, nil, fmt.Errorf("%T is not a protobuf message", req.Any()))
			}
			if err := validate(validator, message); err != nil {
				return nil, mapError(ctx, log, procedure, message, err)
			}
			called, err := withCall(ctx, procedure, message)
			if err != nil {
				return nil, mapError(ctx, log, procedure, message, err)
			}
			res, err = next(called, req)
			if err != nil {
				return nil, mapError(ctx, log, procedure, message, err)
			}
			return res, nil
		}
	}
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
