package demo

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// catalog is the demo's catalog file.
//
//go:embed demo.yaml
var catalog string

const (
	// placeholder stands in the catalog where the sample service's address belongs.
	placeholder = `"http://127.0.0.1:9000"`
	service     = "sample"
)

// tenant is a customer of the demo, with one licence and one key.
type tenant struct {
	key        string // Its name among the demo's keys.
	externalID string
	name       string
	plan       string
	// The licence's dates, from now. An end of 0 is none.
	start, end time.Duration
}

const day = 24 * time.Hour

// tenants are the demo's customers.
func tenants() []tenant {
	return []tenant{
		{key: "free", externalID: "free-co", name: "Free Co", plan: "free"},
		{key: "pro", externalID: "pro-co", name: "Pro Co", plan: "pro"},
		{key: "enterprise", externalID: "enterprise-co", name: "Enterprise Co", plan: "enterprise"},
		{key: "expired", externalID: "expired-co", name: "Expired Co", plan: "pro", start: -31 * day, end: -day},
	}
}

// Apply sees that the demo is there, with its service at upstream, and returns the API keys by tenant. They are kept in
// keyFile, as the API shows a key only once. What is there already stays as people left it: the whole catalog is applied when
// it is new, and afterwards only the service's address.
func Apply(ctx context.Context, a *API, upstream, keyFile string) (map[string]string, error) {
	kept, err := readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	if err := a.applyCatalog(ctx, upstream, kept); err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, t := range tenants() {
		license, err := a.license(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("licence of %s: %w", t.externalID, err)
		}
		if keys[t.key], err = a.key(ctx, t, license, kept); err != nil {
			return nil, fmt.Errorf("key of %s: %w", t.externalID, err)
		}
	}
	return keys, kept.write(keyFile)
}

func (a *API) applyCatalog(ctx context.Context, upstream string, kept *keyring) error {
	text, sum := file(upstream)
	got, err := a.traffic.GetService(ctx, &adminv1.GetServiceRequest{Key: service})
	if err != nil && connect.CodeOf(err) != connect.CodeNotFound {
		return fmt.Errorf("look for the demo's service: %w", err)
	}
	if err == nil && got.GetService().GetArchiveTime() == nil && kept.Catalog == sum {
		text = "version: 1\nservices:\n- {key: " + service + ", endpoints: [" + strconv.Quote(upstream) + "]}\n"
	}
	if _, err := a.catalog.ApplyCatalog(ctx, &adminv1.ApplyCatalogRequest{Yaml: text}); err != nil {
		return fmt.Errorf("apply the demo's catalog: %w", err)
	}
	kept.Catalog = sum
	return nil
}

// file is the catalog with the service's address, and the hash of what it is made from.
func file(upstream string) (text, sum string) {
	h := sha256.Sum256([]byte(catalog))
	return strings.Replace(catalog, placeholder, strconv.Quote(upstream), 1), hex.EncodeToString(h[:])
}

// license finds the tenant's licence, or makes customer and licence.
func (a *API) license(ctx context.Context, t tenant) (string, error) {
	customer, err := a.customer(ctx, t)
	if err != nil {
		return "", err
	}
	found, err := a.licenses.ListLicenses(ctx, &adminv1.ListLicensesRequest{PageSize: 1, Filter: "customer = " + strconv.Quote(customer)})
	if err != nil {
		return "", fmt.Errorf("look for a licence: %w", err)
	}
	for _, l := range found.GetLicenses() {
		return l.GetId(), nil
	}
	now := time.Now()
	l := &adminv1.License{Customer: customer, Plan: t.plan}
	if t.end != 0 {
		l.StartsAt, l.EndsAt = timestamppb.New(now.Add(t.start)), timestamppb.New(now.Add(t.end))
	}
	made, err := a.licenses.IssueLicense(ctx, &adminv1.IssueLicenseRequest{License: l})
	if err != nil {
		return "", fmt.Errorf("issue a licence: %w", err)
	}
	return made.GetLicense().GetId(), nil
}

func (a *API) customer(ctx context.Context, t tenant) (string, error) {
	found, err := a.customers.ListCustomers(ctx, &adminv1.ListCustomersRequest{PageSize: 1, Filter: "external_id = " + strconv.Quote(t.externalID)})
	if err != nil {
		return "", fmt.Errorf("look for the customer: %w", err)
	}
	for _, c := range found.GetCustomers() {
		return c.GetId(), nil
	}
	made, err := a.customers.CreateCustomer(ctx, &adminv1.CreateCustomerRequest{
		Customer: &adminv1.Customer{ExternalId: t.externalID, DisplayName: t.name},
	})
	if err != nil {
		return "", fmt.Errorf("create the customer: %w", err)
	}
	return made.GetCustomer().GetId(), nil
}
