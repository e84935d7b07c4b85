package publisher

import (
	"bytes"
	"context"
	"time"

	"tollgate/controlplane/internal/fleet"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// maxLost bounds Heads.Changes.
const maxLost = 1000

// Heads reads what is known of rules everywhere. It may be called while Run runs, and in a process that does not lead. It blocks on Postgres and NATS.
func (p *Publisher) Heads(ctx context.Context) (fleet.Heads, error) {
	t, err := p.find(ctx)
	if err != nil {
		return fleet.Heads{}, err
	}
	newest, err := p.newestSnapshot(ctx)
	if err != nil {
		return fleet.Heads{}, err
	}
	proven, provenHash, _, err := p.store.Proven(ctx)
	if err != nil {
		return fleet.Heads{}, err
	}
	// Last: what is read before it may lag, and is not ahead.
	head, _, err := p.store.Head(ctx)
	if err != nil {
		return fleet.Heads{}, err
	}
	h := fleet.Heads{Database: head, Stream: t.epoch, Snapshot: newest.epoch, Nodes: proven}
	for _, place := range []struct {
		what string
		at   decision.Epoch
		hash []byte
	}{{streamIs, t.epoch, t.hash}, {snapshotIs, newest.epoch, newest.hash}, {"nodes are", proven, provenHash}} {
		what, err := p.differs(ctx, place.what, place.at, place.hash, head)
		if err != nil {
			return fleet.Heads{}, err
		}
		if h.Ahead == "" {
			h.Ahead = what
		}
	}
	if h.Ahead == "" {
		return h, nil
	}
	common, err := p.lost(ctx, &h, head)
	if err != nil {
		return fleet.Heads{}, err
	}
	// What nodes and snapshots have beyond the stream is lost, too.
	for _, e := range []decision.Epoch{newest.epoch, proven} {
		if e.Generation == common.Generation && e.Number > common.Number {
			h.Lost = max(h.Lost, int64(e.Number-common.Number))
		}
	}
	return h, nil
}

// lost reads the stream backwards to the last change set that the database has, too, and returns its epoch: the database's head where there is none.
func (p *Publisher) lost(ctx context.Context, h *fleet.Heads, head decision.Epoch) (decision.Epoch, error) {
	first, last, err := p.stream.RulesBounds(ctx)
	if err != nil {
		return head, err
	}
	for seq := last; seq >= first && seq > 0; seq-- {
		env, hash, err := p.message(ctx, seq)
		if err != nil {
			return head, err
		}
		if env == nil {
			continue
		}
		at := decision.Epoch{Generation: env.GetGeneration(), Number: env.GetTo()}
		if at.Generation < head.Generation {
			return head, nil
		}
		stored, err := p.store.EnvelopeHash(ctx, at)
		if err != nil {
			return head, err
		}
		if bytes.Equal(stored, hash) {
			return at, nil
		}
		h.Lost++
		for _, r := range env.GetRecords() {
			if len(h.Changes) < maxLost {
				h.Changes = append(h.Changes, changeOf(r, at))
			}
		}
	}
	return head, nil
}

// changeOf names what a record changes, as the audit does.
func changeOf(r *rulesv1.Record, at decision.Epoch) fleet.LostChange {
	c := fleet.LostChange{Epoch: at}
	switch v := r.GetValue().(type) {
	case *rulesv1.Record_Removal:
		c.Kind, c.ID, c.What = removedKinds[v.Removal.GetKind()], v.Removal.GetId(), "removed"
	case *rulesv1.Record_Settings:
		c.Kind = "fleet"
	case *rulesv1.Record_Service:
		c.Kind, c.ID = "service", v.Service.GetKey()
	case *rulesv1.Record_Route:
		c.Kind, c.ID = "route", v.Route.GetKey()
	case *rulesv1.Record_Meter:
		c.Kind, c.ID = "meter", v.Meter.GetKey()
	case *rulesv1.Record_Feature:
		c.Kind, c.ID = "feature", v.Feature.GetKey()
	case *rulesv1.Record_PlanVersion:
		c.Kind, c.ID = "plan", v.PlanVersion.GetPlan()
	case *rulesv1.Record_Customer:
		c.Kind, c.ID = "customer", v.Customer.GetId()
	case *rulesv1.Record_License:
		c.Kind, c.ID = "license", v.License.GetId()
		if v.License.GetStatus() == rulesv1.LicenseStatus_LICENSE_STATUS_REVOKED {
			c.What = "revoked"
		}
	case *rulesv1.Record_Credential:
		c.Kind, c.ID = "api_key", v.Credential.GetId()
		if v.Credential.GetRevoked() {
			c.What = "revoked"
		}
	case *rulesv1.Record_AddOn:
		c.Kind, c.ID = "add_on", v.AddOn.GetKey()
	case *rulesv1.Record_Term:
		c.Kind, c.ID = "term", v.Term.GetKey()
	default:
		c.Kind = "unknown"
	}
	return c
}

var removedKinds = map[rulesv1.Kind]string{
	rulesv1.Kind_KIND_SERVICE: "service", rulesv1.Kind_KIND_ROUTE: "route", rulesv1.Kind_KIND_METER: "meter",
	rulesv1.Kind_KIND_FEATURE: "feature", rulesv1.Kind_KIND_PLAN_VERSION: "plan", rulesv1.Kind_KIND_CUSTOMER: "customer",
	rulesv1.Kind_KIND_LICENSE: "license", rulesv1.Kind_KIND_CREDENTIAL: "api_key", rulesv1.Kind_KIND_ADD_ON: "add_on",
	rulesv1.Kind_KIND_TERM: "term",
}

// unheard reports whether nodes that are known have not had the time yet to say what they enforce.
func (p *Publisher) unheard(nodes int) bool { return nodes > 0 && time.Since(p.led) < settle }
