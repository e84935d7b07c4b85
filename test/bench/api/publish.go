package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// draft makes a version of a plan that differs from the one before by its limit.
func (s *system) draft(ctx context.Context, plan string, limit int64) (uint32, error) {
	d, err := s.catalog.CreatePlanDraft(ctx, &adminv1.CreatePlanDraftRequest{Plan: plan})
	if err != nil {
		return 0, err
	}
	v := d.GetPlanVersion()
	for _, e := range v.GetEntitlements() {
		if e.GetQuota() != nil {
			e.Quota.Limit = limit
		}
	}
	_, err = s.catalog.UpdatePlanDraft(ctx, &adminv1.UpdatePlanDraftRequest{PlanVersion: v})
	return v.GetVersion(), err
}

// publish publishes a new version of a plan, and times that call alone.
func (s *system) publish(ctx context.Context, plan string, limit int64, m adminv1.Migration) (uint32, time.Duration, error) {
	version, err := s.draft(ctx, plan, limit)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	_, err = s.catalog.PublishPlanVersion(ctx, &adminv1.PublishPlanVersionRequest{Plan: plan, Version: version, Migration: m})
	return version, time.Since(began), err
}

// publishing times publishes for new licences only, and looks that each is one record on the stream; then publishes for all, which move a first
// batch. Of these the rest is left out.
func publishing(ctx context.Context, o options, few, many *system) ([]Row, error) {
	forNew, forAll := map[*system][]time.Duration{}, map[*system][]time.Duration{}
	for i := range o.publishes + 2 {
		for _, s := range []*system{few, many} {
			before, err := s.epoch(ctx)
			if err != nil {
				return nil, err
			}
			_, took, err := s.publish(ctx, "pro", int64(100_001+i), adminv1.Migration_MIGRATION_NEW_ONLY)
			if err != nil {
				return nil, fmt.Errorf("publish on %d licences: %w", s.licenses, err)
			}
			sent, err := s.sent(ctx, before)
			if err != nil {
				return nil, err
			}
			if len(sent) != 1 || sent[0].versions != 1 || sent[0].licenses != 0 {
				return nil, fmt.Errorf("a publish for new licences put %+v on the stream, not one version", sent)
			}
			if i >= 2 {
				forNew[s] = append(forNew[s], took)
			}
		}
	}
	for i := range publishesForAll + 2 {
		for _, s := range []*system{few, many} {
			version, took, err := s.publish(ctx, "pro", int64(200_001+i), adminv1.Migration_MIGRATION_NOW)
			if err != nil {
				return nil, fmt.Errorf("publish on %d licences: %w", s.licenses, err)
			}
			if i >= 2 {
				forAll[s] = append(forAll[s], took)
			}
			if err := s.end(ctx, "pro", version); err != nil {
				return nil, err
			}
		}
	}
	return []Row{
		compare("PublishPlanVersion, new licences only", forNew[few], forNew[many], aimSame),
		compare("PublishPlanVersion for all, with its first batch", forAll[few], forAll[many], aimSame),
	}, nil
}

// publishesForAll is how many versions are published for all, but for the first two, which do not count.
const publishesForAll = 9

// end skips what is left of a migration, and waits until it is done.
func (s *system) end(ctx context.Context, plan string, version uint32) error {
	if _, err := s.skip(ctx, version, licenseID(s.licenses)); err != nil {
		return err
	}
	for {
		m, err := s.catalog.GetMigration(ctx, &adminv1.GetMigrationRequest{Plan: plan, Version: version})
		if err != nil || m.GetDone() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// change is a change set on the stream.
type change struct {
	at                 time.Time
	versions, licenses int
}

func (s *system) epoch(ctx context.Context) (int64, error) {
	out, err := s.sql(ctx, "SELECT number FROM rule_head;")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(out, 10, 64)
}

// sent reads the change sets after an epoch.
func (s *system) sent(ctx context.Context, after int64) ([]change, error) {
	out, err := s.sql(ctx, fmt.Sprintf(
		"SELECT extract(epoch FROM created_at), encode(payload, 'hex') FROM rule_envelope WHERE number > %d ORDER BY number;", after))
	if err != nil || out == "" {
		return nil, err
	}
	var all []change
	for line := range strings.SplitSeq(out, "\n") {
		when, payload, _ := strings.Cut(line, "|")
		seconds, err := strconv.ParseFloat(when, 64)
		if err != nil {
			return nil, err
		}
		raw, err := hex.DecodeString(payload)
		if err != nil {
			return nil, err
		}
		var e rulesv1.Envelope
		if err := proto.Unmarshal(raw, &e); err != nil {
			return nil, err
		}
		c := change{at: time.UnixMicro(int64(seconds * 1e6))}
		for _, r := range e.GetRecords() {
			switch {
			case r.GetPlanVersion() != nil:
				c.versions++
			case r.GetLicense() != nil:
				c.licenses++
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// batch is how many licences move in one transaction.
const batch = 1000

// moving publishes a version for all existing licences of the plan that most are on, while another caller revokes licences. With few
// licences it waits until all have moved. With many it times batches at the start and, after putting the migration's progress forward,
// near its end.
func moving(ctx context.Context, o options, few, many *system) ([]Row, map[string]any, error) {
	progress("move %d licences", few.licenses)
	whole, err := few.move(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	progress("move the first and the last of %d licences", many.licenses)
	first, err := many.move(ctx, int64(o.batches*batch))
	if err != nil {
		return nil, nil, err
	}
	last := migration{version: first.version}
	if last.before, err = many.skip(ctx, first.version, licenseID(many.licenses/10*9)); err != nil {
		return nil, nil, err
	}
	if err := many.follow(ctx, &last, int64(o.batches*batch)); err != nil {
		return nil, nil, err
	}
	progress("all of the few moved as %s", whole)
	progress("the first of the many moved as %s", first)
	rows := []Row{
		compare("a batch of a migration", whole.between, first.between, aimSame),
		compare("a batch of many, at nine tenths to at the start", first.between, last.between, aimSame),
		compare("RevokeLicense while many move, to a batch", first.between, slices.Concat(first.revokes, last.revokes), aimBetween),
	}
	facts := map[string]any{"few moved as": whole.String(), "the first of many moved as": first.String()}
	return rows, facts, nil
}

// migration is a move that has begun, and what was seen of it.
type migration struct {
	version uint32
	before  int64         // The epoch before it.
	took    time.Duration // The call that began it.
	revokes []time.Duration

	versions, licenses, sets, largest int
	between                           []time.Duration // From one batch to the next.
}

func (m *migration) String() string {
	return fmt.Sprintf("%d version record, %d licence records in %d change sets of %d at most", m.versions, m.licenses, m.sets, m.largest)
}

// move begins a migration, and follows it until so many have moved; 0: all.
func (s *system) move(ctx context.Context, enough int64) (*migration, error) {
	m := &migration{}
	var err error
	if m.before, err = s.epoch(ctx); err != nil {
		return nil, err
	}
	if m.version, m.took, err = s.publish(ctx, "free", 2000, adminv1.Migration_MIGRATION_NOW); err != nil {
		return nil, err
	}
	return m, s.follow(ctx, m, enough)
}

// follow watches a migration until so many more have moved, 0: all, and revokes licences all the time.
func (s *system) follow(ctx context.Context, m *migration, enough int64) error {
	for begun := int64(-1); ; {
		at, err := s.catalog.GetMigration(ctx, &adminv1.GetMigrationRequest{Plan: "free", Version: m.version})
		if err != nil {
			return err
		}
		if begun < 0 {
			begun = at.GetMoved()
		}
		switch {
		case at.GetDone() && enough > 0:
			return errors.New("all have moved before enough was seen: take more licences, or fewer batches")
		case at.GetDone() && (at.GetMoved() != at.GetTotal() || at.GetMoved() == 0):
			return fmt.Errorf("done with %d of %d", at.GetMoved(), at.GetTotal())
		case at.GetDone(), enough > 0 && at.GetMoved()-begun >= enough:
			return s.look(ctx, m)
		}
		s.revoked++
		began := time.Now()
		if _, err := s.license.RevokeLicense(ctx, &adminv1.RevokeLicenseRequest{Id: licenseID(s.licenses - s.revoked)}); err != nil {
			return err
		}
		m.revokes = append(m.revokes, time.Since(began))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// skip puts the open migration's progress forward, and returns the epoch then.
func (s *system) skip(ctx context.Context, version uint32, to string) (int64, error) {
	_, err := s.sql(ctx, fmt.Sprintf(
		"BEGIN; SELECT FROM rule_head FOR UPDATE; UPDATE plan_migration SET progress = '%s' WHERE version = %d AND NOT done; COMMIT;", to, version))
	if err != nil {
		return 0, err
	}
	return s.epoch(ctx)
}

// look reads what the migration has put on the stream. A batch's time is that from the one before it.
func (s *system) look(ctx context.Context, m *migration) error {
	sent, err := s.sent(ctx, m.before)
	if err != nil {
		return err
	}
	var last time.Time
	for _, c := range sent {
		m.versions += c.versions
		if c.licenses <= 1 { // The version's own, or a revocation's.
			continue
		}
		m.sets++
		m.licenses += c.licenses
		m.largest = max(m.largest, c.licenses)
		if !last.IsZero() && c.at.After(last) {
			m.between = append(m.between, c.at.Sub(last))
		}
		last = c.at
	}
	if m.largest > batch || m.versions > 1 {
		return fmt.Errorf("the migration is %s", m)
	}
	return nil
}
