// Package demo makes a small world through the admin API, as any client would: a catalog file, four customers with a
// licence each, and their keys.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// API reaches an admin API with a token.
type API struct {
	catalog     adminv1connect.CatalogServiceClient
	traffic     adminv1connect.TrafficServiceClient
	customers   adminv1connect.CustomerServiceClient
	licenses    adminv1connect.LicenseServiceClient
	credentials adminv1connect.CredentialServiceClient
	fleet       adminv1connect.FleetServiceClient
	access      adminv1connect.AccessServiceClient
}

// callTimeout bounds one call. The slowest waits for the fleet.
const callTimeout = 90 * time.Second

// Dial describes the API at server. It connects when it is first called.
func Dial(server, token string) *API {
	bear := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, r)
		}
	})
	hc := &http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	with := connect.WithInterceptors(bear)
	return &API{
		catalog:     adminv1connect.NewCatalogServiceClient(hc, server, with),
		traffic:     adminv1connect.NewTrafficServiceClient(hc, server, with),
		customers:   adminv1connect.NewCustomerServiceClient(hc, server, with),
		licenses:    adminv1connect.NewLicenseServiceClient(hc, server, with),
		credentials: adminv1connect.NewCredentialServiceClient(hc, server, with),
		fleet:       adminv1connect.NewFleetServiceClient(hc, server, with),
		access:      adminv1connect.NewAccessServiceClient(hc, server, with),
	}
}

// Authenticate fails where the API does not accept the token.
func (a *API) Authenticate(ctx context.Context) error {
	_, err := a.access.WhoAmI(ctx, &adminv1.WhoAmIRequest{})
	return err
}

// JoinToken makes a token by which the node of that name joins, once, within the hour. It may take its name back: its data dir may have been lost.
func (a *API) JoinToken(ctx context.Context, node string) (string, error) {
	res, err := a.fleet.CreateJoinToken(ctx, &adminv1.CreateJoinTokenRequest{Node: node, Replace: true})
	if err != nil {
		return "", err
	}
	return res.GetSecret(), nil
}

const (
	// askTimeout is how long one call waits for the fleet, askEvery the time between calls that did not wait.
	askTimeout = 5 * time.Second
	askEvery   = 50 * time.Millisecond
)

// AwaitEnforced returns when at least so many nodes report, and all of them enforce the newest epoch.
func (a *API) AwaitEnforced(ctx context.Context, nodes int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		res, err := a.fleet.WaitForEpoch(ctx, &adminv1.WaitForEpochRequest{Timeout: durationpb.New(askTimeout)})
		if err == nil && int(res.GetEnforced()) >= nodes && res.GetEnforced() == res.GetTotal() {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of %d nodes enforce the newest rules after %s", res.GetEnforced(), nodes, within), err)
		case <-time.After(askEvery):
		}
	}
}
