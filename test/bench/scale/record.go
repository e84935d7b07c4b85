package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/apikey"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// keysEach is how many keys a licence has.
const keysEach = 2

var (
	pepper = []byte("the pepper of a synthetic fleet..")
	began  = time.Date(2026, 3, 1, 8, 30, 0, 123_000_000, time.UTC)
)

// deterministic gives the same bytes each time, so that all processes mean the same ids.
type deterministic struct{ *rand.Rand }

func (d deterministic) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(d.Uint32())
	}
	return len(p), nil
}

// key is the k-th key of the n-th licence, whole: its id is in it.
func key(n, k int) (apikey.Key, error) {
	at := began.Add(time.Duration(n*keysEach+k) * time.Millisecond)
	return apikey.Generate("live", at, deterministic{rand.New(rand.NewPCG(uint64(n), uint64(k)))})
}

// id is a prefix and a ULID like those that the control plane draws.
func id(prefix string, n int) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	sum := sha256.Sum256(fmt.Append(nil, prefix, n))
	hi, lo := uint64(began.UnixMilli()+int64(n))<<16|uint64(sum[0])<<8|uint64(sum[1]), binary.BigEndian.Uint64(sum[8:])
	var b [26]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[lo&31]
		hi, lo = hi>>5, lo>>5|hi<<59
	}
	return prefix + string(b[:])
}

var zones = []string{"", "Europe/Berlin", "America/New_York", "Asia/Tokyo"}

// catalog is what the licences are for.
func catalog() []*rulesv1.Record {
	return []*rulesv1.Record{
		{Value: &rulesv1.Record_Settings{Settings: &rulesv1.Settings{
			Env: "live", Pepper: pepper, StaleAfter: durationpb.New(time.Minute), GraceAfter: durationpb.New(time.Hour), BlockAfter: durationpb.New(24 * time.Hour),
		}}},
		{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{Key: "none", Endpoints: []string{"http://127.0.0.1:1"}}}},
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "reports", Type: rulesv1.FeatureType_FEATURE_TYPE_BOOLEAN}}},
		{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{Plan: "pro", Version: 3, Entitlements: []*rulesv1.Entitlement{
			{Feature: "reports", Grant: &rulesv1.Entitlement_Enabled{Enabled: true}},
		}}}},
		{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{Key: "all", Service: "none", Path: "/*", Requires: []string{"reports"}}}},
	}
}

func customer(n int) *rulesv1.Record {
	return &rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{
		Id: id("cus_", n), ExternalId: fmt.Sprintf("customer-%d", n), TimeZone: zones[n%len(zones)],
	}}}
}

// license is a licence; in two of a hundred cases it has something rare.
func license(n int) *rulesv1.Record {
	at := timestamppb.New(began.Add(time.Duration(n) * time.Second))
	l := &rulesv1.License{
		Id: id("lic_", n), Customer: id("cus_", n), Plan: "pro", PlanVersion: 3, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
		StartsAt: at, Anchor: at, CounterGeneration: 1,
	}
	if n%50 == 0 {
		l.Phases = []*rulesv1.Phase{{At: timestamppb.New(began.AddDate(20, 0, 0)), Plan: "pro", PlanVersion: 4, CounterGeneration: 2}}
	}
	return &rulesv1.Record{Value: &rulesv1.Record_License{License: l}}
}

func credential(n, k int) (*rulesv1.Record, error) {
	made, err := key(n, k)
	if err != nil {
		return nil, err
	}
	hash := apikey.Hash(pepper, made.Whole)
	return &rulesv1.Record{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: made.ID, License: id("lic_", n), Hash: hash[:]}}}, nil
}

// records hands over all records of n licences, kind by kind, as a control plane would.
func records(n int, yield func(*rulesv1.Record) error) error {
	for _, r := range catalog() {
		if err := yield(r); err != nil {
			return err
		}
	}
	for i := range n {
		if err := yield(customer(i)); err != nil {
			return err
		}
	}
	for i := range n {
		if err := yield(license(i)); err != nil {
			return err
		}
	}
	for i := range n {
		for k := range keysEach {
			r, err := credential(i, k)
			if err == nil {
				err = yield(r)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
