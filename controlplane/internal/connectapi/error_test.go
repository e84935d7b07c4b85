package connectapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// sqlError is an error as database drivers make them.
type sqlError string

func (e sqlError) Error() string    { return "database says " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestMapError_HasOneCodeForEachKind(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		err  error
		want connect.Code
	}{
		{&licensing.Error{Code: licensing.InvalidArgument}, connect.CodeInvalidArgument},
		{&licensing.Error{Code: licensing.NotFound}, connect.CodeNotFound},
		{&licensing.Error{Code: licensing.AlreadyExists}, connect.CodeAlreadyExists},
		{&licensing.Error{Code: licensing.FailedPrecondition}, connect.CodeFailedPrecondition},
		{&licensing.Error{Code: licensing.Aborted}, connect.CodeAborted},
		{&licensing.Error{Code: licensing.Unauthenticated}, connect.CodeUnauthenticated},
		{&licensing.Error{Code: licensing.PermissionDenied}, connect.CodePermissionDenied},
		{&licensing.Error{Code: "news"}, connect.CodeInternal},
		{fmt.Errorf("query usage: %w", fmt.Errorf("%w: to must be after from", metering.ErrInvalid)), connect.CodeInvalidArgument},
		{fmt.Errorf("report: %w", fleet.ErrInvalid), connect.CodeInvalidArgument},
		{fmt.Errorf("get decision x: %w", metering.ErrNotFound), connect.CodeNotFound},
		{fmt.Errorf("query: %w", refused), connect.CodeUnavailable},
		{fmt.Errorf("query: %w", io.ErrUnexpectedEOF), connect.CodeUnavailable},
		{fmt.Errorf("query: %w", sqlError("57P01")), connect.CodeUnavailable},
		{fmt.Errorf("query: %w", sqlError("08006")), connect.CodeUnavailable},
		{fmt.Errorf("query: %w", sqlError("53300")), connect.CodeUnavailable},
		{fmt.Errorf("query: %w", sqlError("42P01")), connect.CodeInternal},
		{errors.New("whatever"), connect.CodeInternal},
	} {
		got := mapError(t.Context(), slog.New(slog.DiscardHandler), "/p", nil, tt.err)
		if connect.CodeOf(got) != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestMapError_KeepsWhatIsInternalOutOfTheAnswer(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	ctx := context.WithValue(t.Context(), requestIDKey{}, "req_1")
	for _, secret := range []error{errors.New("password=hunter2"), sqlError("hunter2"), &net.OpError{Op: "dial", Err: errors.New("hunter2")}} {
		log.Reset()
		got := mapError(ctx, slog.New(slog.NewJSONHandler(&log, nil)), "/p", nil, fmt.Errorf("read: %w", secret))
		if strings.Contains(got.Error(), "hunter2") {
			t.Errorf("the answer has the cause: %v", got)
		}
		if !strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), `"request_id":"req_1"`) {
			t.Errorf("the log lacks cause or id: %s", log.String())
		}
	}
}

func TestMapError_TellsTheCallersFaultsApartFromTheDatabases(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := mapError(gone, slog.New(slog.DiscardHandler), "/p", nil, fmt.Errorf("query: %w", context.Canceled)); connect.CodeOf(got) != connect.CodeCanceled {
		t.Errorf("the caller went away: %v", got)
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if got := mapError(late, slog.New(slog.DiscardHandler), "/p", nil, fmt.Errorf("query: %w", context.DeadlineExceeded)); connect.CodeOf(got) != connect.CodeDeadlineExceeded {
		t.Errorf("the caller's deadline: %v", got)
	}
	// A deadline that is not the caller's is the database's.
	if got := mapError(t.Context(), slog.New(slog.DiscardHandler), "/p", nil, fmt.Errorf("query: %w", context.DeadlineExceeded)); connect.CodeOf(got) != connect.CodeUnavailable {
		t.Errorf("the database's deadline: %v", got)
	}
}

func TestMapError_DetailsCanBeActedOn(t *testing.T) {
	t.Parallel()
	err := &licensing.Error{Code: licensing.NotFound, Message: "there is no meter", Field: "meter", Details: map[string]string{"kind": "meter", "id": "x"}}
	req := &adminv1.CreateFeatureRequest{Feature: &adminv1.Feature{}}
	ce, ok := errors.AsType[*connect.Error](mapError(t.Context(), slog.New(slog.DiscardHandler), "/p", req, err))
	if !ok {
		t.Fatal("not a connect error")
	}
	if want := "feature.meter: there is no meter"; ce.Message() != want {
		t.Errorf("message %q, want %q", ce.Message(), want)
	}
	var field, reason, id string
	for _, d := range ce.Details() {
		v, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		switch v := v.(type) {
		case *errdetails.BadRequest:
			field = v.GetFieldViolations()[0].GetField()
		case *errdetails.ErrorInfo:
			reason, id = v.GetReason(), v.GetMetadata()["id"]
		}
	}
	if field != "feature.meter" || reason != "NOT_FOUND" || id != "x" {
		t.Errorf("field %q, reason %q, id %q", field, reason, id)
	}
}

func TestPathIn_IsThePathOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		req         proto.Message
		field, want string
	}{
		{&adminv1.CreateFeatureRequest{}, "key", "feature.key"},
		{&adminv1.GetFeatureRequest{}, "key", "key"},
		{&adminv1.CreateIssuerRequest{}, "issuer", "issuer.issuer"},
		{&adminv1.CreateRouteRequest{}, "service", "route.service"},
		{&adminv1.UpdateFeatureRequest{}, "update_mask", "update_mask"},
		{&adminv1.UpdatePlanDraftRequest{}, "entitlements[2].quota.limit", "plan_version.entitlements[2].quota.limit"},
		{&adminv1.CreateCustomerRequest{}, "metadata.size", "customer.metadata.size"},
		{&adminv1.CreateApiKeyRequest{}, "license", "license"},
		{&adminv1.ApplyCatalogRequest{}, "plans[free].rate_limits[0].per", "plans[free].rate_limits[0].per"},
		{&adminv1.ListMetersRequest{}, "filter.archived", "filter.archived"},
		{&adminv1.CreateFeatureRequest{}, "", ""},
		{&adminv1.CreateFeatureRequest{}, "[0]", "[0]"},
	} {
		if got := pathIn(tt.req, tt.field); got != tt.want {
			t.Errorf("%T %q: %q, want %q", tt.req, tt.field, got, tt.want)
		}
	}
}

// away is a database that went away as a write was to be made final, or before.
type away struct {
	error
	written bool
}

func (a away) Unwrap() error      { return a.error }
func (a away) MayBeWritten() bool { return a.written }

func TestMapError_SaysWhereAWriteMayHaveHappened(t *testing.T) {
	t.Parallel()
	for written, want := range map[bool]string{false: "nothing was read or written", true: "same request_id"} {
		err := mapError(t.Context(), slog.New(slog.DiscardHandler), "/x", nil, away{io.ErrUnexpectedEOF, written})
		if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("may be written %t: %v", written, err)
		}
	}
}
