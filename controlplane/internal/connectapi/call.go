package connectapi

import (
	"context"
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/licensing"
)

// The fields that every write takes, whatever else is in its request (AIP-155, AIP-163, AIP-154).
const (
	requestIDField    protoreflect.Name = "request_id"
	validateOnlyField protoreflect.Name = "validate_only"
	etagField         protoreflect.Name = "etag"
)

// withCall tells the domain who calls, and how.
func withCall(ctx context.Context, procedure string, req proto.Message) (context.Context, error) {
	caller := callerOf(ctx)
	c := licensing.Call{
		Actor: caller.ID, ActorName: caller.DisplayName, Role: caller.Role, Procedure: procedure, CallID: requestID(ctx),
	}
	m := req.ProtoReflect()
	fields := m.Descriptor().Fields()
	if f := fields.ByName(validateOnlyField); f != nil {
		c.ValidateOnly = m.Get(f).Bool()
	}
	if f := fields.ByName(etagField); f != nil {
		c.Etag = m.Get(f).String()
	}
	if f := fields.ByName(requestIDField); f != nil {
		c.RequestID = m.Get(f).String()
	}
	if c.RequestID != "" {
		rest := proto.Clone(req)
		rest.ProtoReflect().Clear(fields.ByName(requestIDField))
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(rest)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.Descriptor().FullName(), err)
		}
		sum := sha256.Sum256(b)
		c.Fingerprint = sum[:]
	}
	return licensing.WithCall(ctx, c), nil
}
