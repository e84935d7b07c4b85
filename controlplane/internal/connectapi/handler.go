package connectapi

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/fleet"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// maxRequest bounds the body of a call. A catalog of 4 MiB in JSON fits.
const maxRequest = 8 << 20

// maxStream bounds the body of a call whose client streams: an import of the largest file there may be fits. Each of its messages is bounded
// as a body is.
const maxStream = 4 << 30

// maxFraming is what a protocol may put around that.
const maxFraming = 1 << 10

// Config is what the API stands on. All of it is required but AdminURL and NATS.
type Config struct {
	Licensing *licensing.Service
	Metering  *metering.Service
	Fleet     *fleet.Service
	Audit     *audit.Service
	// AdminURL is where nodes reach the API, for join tokens. Empty: none are made.
	AdminURL string
	// NATS is what nodes that join are told of it.
	NATS NATS
	// Certified verifies a node's certificate as of now, and reads its name and key.
	Certified func(certificate []byte) (node string, key ed25519.PublicKey, err error)
	// Trust is the key set in force, signed; nil: there is none yet.
	Trust func() []byte
	// Heads reads how far rules are everywhere. It blocks on Postgres and NATS.
	Heads func(ctx context.Context) (fleet.Heads, error)
	// Others answers what is not a call of the API: the web UI.
	Others http.Handler
	Logger *slog.Logger
}

// Handler serves the API. It speaks gRPC where its server speaks HTTP/2, without TLS too (http.Protocols).
func Handler(c Config) (http.Handler, error) {
	if c.Licensing == nil || c.Metering == nil || c.Fleet == nil || c.Audit == nil || c.Heads == nil || c.Certified == nil || c.Trust == nil || c.Others == nil || c.Logger == nil {
		return nil, errors.New("connectapi: every field of Config but AdminURL and NATS is required")
	}
	permissions, err := permissionsOf(services())
	if err != nil {
		return nil, fmt.Errorf("connectapi: %w", err)
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("connectapi: %w", err)
	}
	options := connect.WithHandlerOptions(
		strictCodecs(),
		connect.WithReadMaxBytes(maxRequest),
		connect.WithInterceptors(interceptor{c.Logger, validator}),
	)
	calls := http.NewServeMux()
	calls.Handle(adminv1connect.NewAccessServiceHandler(accessService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewAuditServiceHandler(auditService{c.Audit}, options))
	calls.Handle(adminv1connect.NewCatalogServiceHandler(catalogService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewCredentialServiceHandler(credentialService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewCustomerServiceHandler(customerService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewDecisionServiceHandler(decisionService{c.Metering}, options))
	calls.Handle(adminv1connect.NewFleetServiceHandler(fleetService{c.Fleet, c.Licensing, c.Heads, c.AdminURL}, options))
	calls.Handle(adminv1connect.NewLicenseServiceHandler(licenseService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewTrafficServiceHandler(trafficService{c.Licensing}, options))
	calls.Handle(adminv1connect.NewUsageServiceHandler(usageService{c.Metering, c.Licensing}, options))
	reflection(calls, permissions, options)
	errorWriter := connect.NewErrorWriter(options)
	guarded := &gate{
		next:        &queryCheck{next: calls, rules: queryRules(services()), errors: errorWriter, log: c.Logger},
		permissions: permissions, authenticate: c.Licensing.Authenticate, errors: errorWriter, log: c.Logger,
	}
	transcoded, err := rest(guarded)
	if err != nil {
		return nil, fmt.Errorf("connectapi: %w", err)
	}
	joining := joins(joinService{c.Licensing, c.NATS, c.Certified, c.Trust}, options, errorWriter)
	byProcedure, byREST, alive := bounded(named(guarded)), bounded(named(transcoded)), bounded(health(options))
	streamed, streams := http.MaxBytesHandler(named(guarded), maxStream), clientStreams(services())
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, healthPath):
			alive.ServeHTTP(w, r)
		case strings.HasPrefix(path, joinPath):
			joining.ServeHTTP(w, r)
		case streams[path]:
			streamed.ServeHTTP(w, r)
		case isCall(path):
			byProcedure.ServeHTTP(w, r)
		case strings.HasPrefix(path, restPrefix):
			byREST.ServeHTTP(w, r)
		case path == openAPIPath:
			openAPI(w, r)
		default:
			c.Others.ServeHTTP(w, r)
		}
	})
	// A browser that another site drives must not call with what it knows of this one.
	return http.NewCrossOriginProtection().Handler(all), nil
}

// isCall tells /tollgate.admin.v1.FleetService/ListNodes, and every like path, from pages.
func isCall(path string) bool {
	return strings.HasPrefix(path, "/tollgate.") || strings.HasPrefix(path, "/grpc.")
}

// bounded limits the body: connect reads one that is too long to its end, however long that is.
func bounded(next http.Handler) http.Handler {
	return http.MaxBytesHandler(next, maxRequest+maxFraming)
}

// clientStreams are the procedures whose clients stream.
func clientStreams(services []protoreflect.ServiceDescriptor) map[string]bool {
	all := map[string]bool{}
	for _, s := range services {
		for i := range s.Methods().Len() {
			if m := s.Methods().Get(i); m.IsStreamingClient() {
				all[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = true
			}
		}
	}
	return all
}
