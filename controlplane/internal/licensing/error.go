package licensing

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure an Error is. The codes are those of gRPC that the API uses.
type Code string

// The codes.
const (
	InvalidArgument    Code = "invalid_argument"
	NotFound           Code = "not_found"
	AlreadyExists      Code = "already_exists"
	FailedPrecondition Code = "failed_precondition"
	// Aborted: the object has changed since its etag was read.
	Aborted          Code = "aborted"
	Unauthenticated  Code = "unauthenticated"
	PermissionDenied Code = "permission_denied"
)

// Error is a failure that the caller can act on. Its texts are for the caller's eyes.
type Error struct {
	Code    Code
	Message string
	// Field is the path of the field that is wrong, in the API's names, like
	// "entitlements[2].quota.limit". Empty where no single field is.
	Field string
	// More are further faults of the same request, of which this one is the first.
	More []*Error
	// Details are more facts, by name: "kind", "id", "references".
	Details map[string]string
}

// Error is the field and the message.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// CodeOf is the code of the first Error in err's chain; empty where there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Missing is the error for an object that is not there.
func Missing(kind Kind, id string) *Error {
	return &Error{
		Code: NotFound, Message: fmt.Sprintf("there is no %s %q", kind.words(), id),
		Details: map[string]string{"kind": string(kind), "id": id},
	}
}

// Taken is the error for a key or id that another object has.
func Taken(kind Kind, field, value string) *Error {
	article := "a"
	if strings.ContainsAny(kind.words()[:1], "aeioA") {
		article = "an"
	}
	return &Error{
		Code: AlreadyExists, Message: fmt.Sprintf("there is %s %s %q already", article, kind.words(), value), Field: field,
		Details: map[string]string{"kind": string(kind), "id": value},
	}
}

func invalid(field, format string, args ...any) *Error {
	return &Error{Code: InvalidArgument, Message: fmt.Sprintf(format, args...), Field: field}
}

func refused(format string, args ...any) *Error {
	return &Error{Code: FailedPrecondition, Message: fmt.Sprintf(format, args...)}
}

// at puts a path before the field of an *Error; other errors pass.
func at(path string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	moved := *e
	if moved.Field == "" {
		moved.Field = path
	} else {
		moved.Field = path + "." + moved.Field
	}
	return &moved
}
