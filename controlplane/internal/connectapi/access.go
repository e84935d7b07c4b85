package connectapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"tollgate/controlplane/internal/auth"
	"tollgate/controlplane/internal/licensing"
)

// gate lets a call through to its handler only where the caller may make it. It works on HTTP, so that nobody
// unknown gets a body read, decoded or validated.
type gate struct {
	next        http.Handler
	permissions permissions
	// authenticate finds the token with that secret. An error of code unauthenticated says what is wrong with it.
	authenticate func(ctx context.Context, secret string) (licensing.Token, error)
	errors       *connect.ErrorWriter
	log          *slog.Logger
}

type callerKey struct{}

type requestIDKey struct{}

// callerOf is the token that a call came with. Behind the gate there is one.
func callerOf(ctx context.Context) licensing.Token {
	t, _ := ctx.Value(callerKey{}).(licensing.Token)
	return t
}

// requestID names a call in the log and in answers.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// requestIDHeader carries the id of a call in its answer.
const requestIDHeader = "Tollgate-Request-Id"

// named gives a call its id.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := "req_" + rand.Text()
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	token, err := g.admit(ctx, r)
	if err != nil {
		err = mapError(ctx, g.log, r.URL.Path, nil, err)
		if connect.CodeOf(err) == connect.CodeUnauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="tollgate"`)
		}
		if err := g.errors.Write(w, r, err); err != nil {
			g.log.DebugContext(ctx, "refusal not sent", "request_id", requestID(ctx), "error", err)
		}
		return
	}
	g.next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, callerKey{}, token)))
}

func (g *gate) admit(ctx context.Context, r *http.Request) (licensing.Token, error) {
	secret, err := bearer(r.Header)
	if err != nil {
		return licensing.Token{}, connect.NewError(connect.CodeUnauthenticated, err)
	}
	token, err := g.authenticate(ctx, secret)
	if err != nil {
		return licensing.Token{}, err
	}
	needed, known := g.permissions[r.URL.Path]
	switch {
	case !known:
		return licensing.Token{}, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("there is no call %s", r.URL.Path))
	case needed == "":
		return licensing.Token{}, denied(fmt.Errorf("%s states no permission, so nobody may call it", r.URL.Path), needed, token)
	case !auth.Role(token.Role).Holds(needed):
		return licensing.Token{}, denied(fmt.Errorf("%s needs the permission %s, which the role %s does not hold", r.URL.Path, needed, token.Role), needed, token)
	}
	return token, nil
}

func denied(err error, needed auth.Permission, token licensing.Token) error {
	ce := connect.NewError(connect.CodePermissionDenied, err)
	attach(ce, &errdetails.ErrorInfo{
		Reason: "PERMISSION_DENIED", Domain: errorDomain,
		Metadata: map[string]string{"permission": string(needed), "role": string(token.Role)},
	})
	return ce
}

// bearer reads the one credential of a call (RFC 6750 §2.1).
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", errors.New("no token: send Authorization: Bearer tga_…")
	case len(values) > 1:
		return "", errors.New("more than one Authorization header: send one token")
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(secret) == "" {
		return "", errors.New("not a bearer token: send Authorization: Bearer tga_…")
	}
	return strings.TrimSpace(secret), nil
}
