package ruleset

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// odd makes records, plain ones and others.
type odd struct{ *rand.Rand }

func (o odd) text(plain string) string {
	return []string{plain, plain, plain, "", "\xff", "key_01JDXAMPLE0000000000000042"}[o.IntN(6)]
}

func (o odd) instant() *timestamppb.Timestamp {
	return []*timestamppb.Timestamp{
		nil, {}, timestamppb.New(time.Unix(o.Int64N(1<<33), o.Int64N(1e9))), {Seconds: -o.Int64N(1 << 33)}, {Seconds: 5, Nanos: 2e9}, {Nanos: -5},
	}[o.IntN(6)]
}

func (o odd) record() *rulesv1.Record {
	switch o.IntN(3) {
	case 0:
		return &rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{
			Id: "cus", ExternalId: o.text("ext"), TimeZone: []string{"", "Asia/Tokyo", "UTC", "Nowhere/At_All"}[o.IntN(4)],
		}}}
	case 1:
		l := &rulesv1.License{
			Id: "lic", Customer: o.text("cus"), Plan: o.text("plan"), PlanVersion: o.Uint32(), Status: rulesv1.LicenseStatus(o.IntN(6)),
			StartsAt: o.instant(), EndsAt: o.instant(), Anchor: o.instant(), CounterGeneration: o.Uint64() >> o.IntN(64), PastDue: o.IntN(2) == 0,
			GraceUntil: o.instant(), CancelsAt: o.instant(),
		}
		if o.IntN(4) == 0 {
			l.Phases = []*rulesv1.Phase{{Plan: "next"}}
			l.AddOns = []*rulesv1.Attachment{{AddOn: "extra"}}
		}
		return &rulesv1.Record{Value: &rulesv1.Record_License{License: l}}
	}
	return &rulesv1.Record{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{
		Id: "key", License: o.text("lic"), Hash: make([]byte, []int{32, 32, 32, 31, 33, 0}[o.IntN(6)]), ExpiresAt: o.instant(),
		Revoked: o.IntN(2) == 0, Imported: o.IntN(2) == 0,
	}}}
}

// built is a state of one record, of which nothing is known but by set.
func built(t *testing.T, set func(e *decision.Editor) error) (*decision.State, error) {
	t.Helper()
	e := decision.Edit(nil)
	if err := set(e); err != nil {
		return nil, err
	}
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s, nil
}

// Whatever bytes a record is: where it is read as a plain one, it is what it would be by way of mapping.go.
func TestPlain_MeansWhatMappingSays(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	o := odd{rand.New(rand.NewPCG(seed, 1))}
	z := &zones{}
	if _, err := z.load("Asia/Tokyo"); err != nil {
		t.Fatal(err)
	}
	plains, others := 0, 0
	for range 30_000 {
		raw, err := proto.MarshalOptions{}.Marshal(o.record())
		if err != nil {
			continue // Not UTF-8: a control plane cannot make it. Below, bytes are changed.
		}
		switch o.IntN(4) {
		case 0:
			raw[o.IntN(len(raw))] = byte(o.Uint32())
		case 1:
			if more, err := proto.Marshal(o.record()); err == nil {
				raw = append(raw, more...)
			}
		}
		plain := false
		got, _ := built(t, func(e *decision.Editor) error {
			b := &decision.Batch{}
			plain = z.plain(b, string(raw))
			e.Take(b)
			return nil
		})
		if !plain {
			others++
			continue
		}
		plains++
		want, err := built(t, func(e *decision.Editor) error {
			m := &rulesv1.Record{}
			if err := proto.Unmarshal(raw, m); err != nil {
				return err
			}
			return z.set(e, m)
		})
		if err != nil {
			t.Fatalf("%x is read as a plain record, and is none: %v", raw, err)
		}
		m := &rulesv1.Record{}
		if err := proto.Unmarshal(raw, m); err != nil {
			t.Fatal(err)
		}
		lic, cus, key := m.GetLicense().GetId(), m.GetCustomer().GetId(), m.GetCredential().GetId()
		if !reflect.DeepEqual(got.License(lic), want.License(lic)) || !reflect.DeepEqual(got.Customer(cus), want.Customer(cus)) ||
			!reflect.DeepEqual(got.Credential(key), want.Credential(key)) {
			t.Fatalf("%x is\n%+v %+v %+v, by the mapping\n%+v %+v %+v", raw, got.License(lic), got.Customer(cus), got.Credential(key),
				want.License(lic), want.Customer(cus), want.Credential(key))
		}
		l, c := got.Counts()
		wantL, wantC := want.Counts()
		if l != wantL || c != wantC {
			t.Fatalf("%x is %d licences and %d credentials, not %d and %d", raw, l, c, wantL, wantC)
		}
	}
	if plains < 1000 || others < 1000 {
		t.Errorf("%d plain records and %d others are too few", plains, others)
	}
}
