package cli

import (
	"context"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// The services, by short names.
type (
	accessClient     = adminv1connect.AccessServiceClient
	auditClient      = adminv1connect.AuditServiceClient
	catalogClient    = adminv1connect.CatalogServiceClient
	credentialClient = adminv1connect.CredentialServiceClient
	customerClient   = adminv1connect.CustomerServiceClient
	decisionClient   = adminv1connect.DecisionServiceClient
	fleetClient      = adminv1connect.FleetServiceClient
	licenseClient    = adminv1connect.LicenseServiceClient
	trafficClient    = adminv1connect.TrafficServiceClient
	usageClient      = adminv1connect.UsageServiceClient
)

// client reaches the services of one API.
type client struct {
	http   *http.Client
	server string
	option connect.ClientOption
}

func newClient(t target) *client {
	hc := &http.Client{
		Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			// WaitForEpoch, the slowest call, is bounded at 60 s.
			ResponseHeaderTimeout: 90 * time.Second,
		},
		// The API never redirects; whoever does must not get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &client{hc, t.Server, connect.WithInterceptors(bearing{t})}
}

// bearing sends the token with each call.
type bearing struct{ target target }

var _ connect.Interceptor = bearing{}

// WrapUnary implements connect.Interceptor. Errors come explained.
func (b bearing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+b.target.Token)
		res, err := next(ctx, req)
		return res, explain(b.target.Server, err)
	}
}

// WrapStreamingClient implements connect.Interceptor. Who streams explains errors itself: connect has to know them until then.
func (b bearing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+b.target.Token)
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor: nothing is served here.
func (bearing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (c *client) access() accessClient {
	return adminv1connect.NewAccessServiceClient(c.http, c.server, c.option)
}

func (c *client) audit() auditClient {
	return adminv1connect.NewAuditServiceClient(c.http, c.server, c.option)
}

func (c *client) catalog() catalogClient {
	return adminv1connect.NewCatalogServiceClient(c.http, c.server, c.option)
}

func (c *client) credential() credentialClient {
	return adminv1connect.NewCredentialServiceClient(c.http, c.server, c.option)
}

func (c *client) customer() customerClient {
	return adminv1connect.NewCustomerServiceClient(c.http, c.server, c.option)
}

func (c *client) decision() decisionClient {
	return adminv1connect.NewDecisionServiceClient(c.http, c.server, c.option)
}

func (c *client) fleet() fleetClient {
	return adminv1connect.NewFleetServiceClient(c.http, c.server, c.option)
}

func (c *client) license() licenseClient {
	return adminv1connect.NewLicenseServiceClient(c.http, c.server, c.option)
}

func (c *client) traffic() trafficClient {
	return adminv1connect.NewTrafficServiceClient(c.http, c.server, c.option)
}

func (c *client) usage() usageClient {
	return adminv1connect.NewUsageServiceClient(c.http, c.server, c.option)
}

// dial makes the client that the command's flags and environment name.
func dial(cmd *cobra.Command) (*client, error) {
	t, err := findTarget(cmd.Flags())
	if err != nil {
		return nil, err
	}
	return newClient(t), nil
}
