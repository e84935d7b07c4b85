package cli

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// explain makes one line of a failed call: what is wrong, where, and what to do.
func explain(server string, err error) error {
	ce, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	if dialed, ok := errors.AsType[*net.OpError](err); ok && !connect.IsWireError(ce) {
		return fmt.Errorf("cannot reach %s: %w; does the control plane run there?", server, dialed.Err)
	}
	message := ce.Message()
	switch ce.Code() {
	case connect.CodeInvalidArgument:
		message = withField(ce, message)
	case connect.CodeUnauthenticated:
		message += "; see --token, TOLLGATE_TOKEN and the context file of the data dir"
	case connect.CodeUnknown, connect.CodeUnimplemented:
		if !connect.IsWireError(ce) {
			message += fmt.Sprintf("; is %s the admin address of a control plane?", server)
		}
	}
	return &refusal{fmt.Sprintf("%s: %s", ce.Code(), message), ce}
}

// refusal is a failed call in one line, for people, and with its details.
type refusal struct {
	text  string
	cause *connect.Error
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.cause }

// withField puts the field in question before a message that does not say it.
func withField(ce *connect.Error, message string) string {
	for _, d := range ce.Details() {
		v, err := d.Value()
		if err != nil {
			continue
		}
		bad, ok := v.(*errdetails.BadRequest)
		if !ok || len(bad.GetFieldViolations()) == 0 {
			continue
		}
		if field := bad.GetFieldViolations()[0].GetField(); !strings.Contains(message, field) {
			return field + ": " + message
		}
	}
	return message
}
