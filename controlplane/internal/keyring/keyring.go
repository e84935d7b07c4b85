package keyring

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/envelope"
)

// trustFile lies beside the keys.
const trustFile = "key_set"

// Store is where all control planes find the newest key set. Its methods block on the database.
type Store interface {
	// KeySet is the newest, as it was signed; nil where there is none.
	KeySet(ctx context.Context) ([]byte, error)
	// SetKeySet takes a newer one.
	SetKeySet(ctx context.Context, signed []byte) error
}

// Config is what a Ring works with.
type Config struct {
	// Dir holds rules.key, rules.cert, receipts.key, receipts.cert and key_set.
	Dir string
	// Root is the root that is trusted by configuration.
	Root   ed25519.PublicKey
	Logger *slog.Logger
	// Metrics is where metrics are registered.
	Metrics prometheus.Registerer
}

// Ring is a control plane's keys. See the package comment.
type Ring struct {
	dir      string
	file     envelope.TrustFile
	verifier *envelope.Verifier
	log      *slog.Logger

	rules, receipts *Signer

	mu sync.Mutex
	// said are the last lines that were logged, by what they are of: one line an event.
	said map[string]string
}

// Open reads the keys, which have to be certified for one fleet by a root that leads to or from the trusted one. Whether they count is
// asked later: there may be no key set yet.
func Open(cfg Config, now time.Time) (*Ring, error) {
	r := &Ring{dir: cfg.Dir, file: envelope.TrustFile(filepath.Join(cfg.Dir, trustFile)), log: cfg.Logger, said: map[string]string{}}
	rules, err := readPair(cfg.Dir, "rules")
	if err != nil {
		return nil, err
	}
	r.verifier = envelope.NewVerifier(rules.certified.Fleet, cfg.Root)
	if err := r.verifier.Keep(r.file); err != nil {
		r.log.Error("the key set on disk cannot be used: waiting for one in the database", "file", string(r.file), "error", err)
	}
	if r.rules, err = r.signer("rules", envelope.UsageRules, rules, now); err != nil {
		return nil, err
	}
	receipts, err := readPair(cfg.Dir, "receipts")
	if err != nil {
		return nil, err
	}
	if receipts.certified.Fleet != rules.certified.Fleet {
		return nil, fmt.Errorf("%s: rules.cert is for fleet %q, receipts.cert for %q", cfg.Dir, rules.certified.Fleet, receipts.certified.Fleet)
	}
	if r.receipts, err = r.signer("receipts", envelope.UsageReceipts, receipts, now); err != nil {
		return nil, err
	}
	return r, r.register(cfg.Metrics)
}

func (r *Ring) register(metrics prometheus.Registerer) error {
	list := []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tollgate_key_set_version", Help: "Version of the key set in force; 0: there is none.",
	}, func() float64 { return float64(r.verifier.Version()) })}
	for _, s := range []*Signer{r.rules, r.receipts} {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tollgate_key_usable", Help: "1 where this control plane has a key that counts, by what it is for.",
			ConstLabels: prometheus.Labels{"usage": s.name},
		}, func() float64 {
			if _, err := s.Certified(); err != nil {
				return 0
			}
			return 1
		}))
	}
	for _, c := range list {
		if err := metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics of the keys: %w", err)
		}
	}
	return nil
}

// Fleet is the id that all certificates name.
func (r *Ring) Fleet() string { return r.verifier.Fleet() }

// Verifier opens what the fleet's processes sign, by the newest key set.
func (r *Ring) Verifier() *envelope.Verifier { return r.verifier }

// Rules signs with the rules key, Receipts with the receipts key.
func (r *Ring) Rules() *Signer { return r.rules }

// Receipts is like Rules.
func (r *Ring) Receipts() *Signer { return r.receipts }

// Warnings say what keeps this control plane from signing.
func (r *Ring) Warnings() []string {
	if r.verifier.Version() == 0 {
		return []string{"no key set: nothing is signed, and nodes take no rules, until `tollgate trust init` has sent the first"}
	}
	var list []string
	for _, s := range []*Signer{r.rules, r.receipts} {
		if _, err := s.Certified(); err != nil {
			list = append(list, err.Error())
		}
	}
	return list
}

// every is how often files and database are looked at, and the set is sent.
const every = time.Second

// Run keeps keys and set up to date, and sends the set, until ctx ends. What fails is tried again.
func (r *Ring) Run(ctx context.Context, store Store, send func(signed []byte) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		r.Round(ctx, store, time.Now())
		if t := r.verifier.Trust(); t != nil {
			_ = send(t.Raw()) // NATS is away, which others say; again in a second.
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Round looks at files and database once.
func (r *Ring) Round(ctx context.Context, store Store, now time.Time) {
	if raw, err := r.file.LoadTrust(); err != nil {
		r.say("file", slog.LevelError, "the key set on disk cannot be read", err)
	} else if raw != nil {
		r.adopt("file", raw)
	}
	if err := r.share(ctx, store); err != nil && ctx.Err() == nil {
		r.say("store", slog.LevelWarn, "cannot share the key set with other control planes", err)
	} else if ctx.Err() == nil {
		r.say("store", 0, "", nil)
	}
	for _, s := range []*Signer{r.rules, r.receipts} {
		s.refresh(now)
	}
}

// share takes the database's key set, or gives it a newer one.
func (r *Ring) share(ctx context.Context, store Store) error {
	held, err := store.KeySet(ctx)
	if err != nil {
		return err
	}
	if held != nil && r.adopt("database", held) {
		return nil
	}
	if t := r.verifier.Trust(); t != nil {
		return store.SetKeySet(ctx, t.Raw())
	}
	return nil
}

// adopt takes a set from somewhere. False: what is in force is newer, or that one does not verify.
func (r *Ring) adopt(from string, raw []byte) bool {
	adopted, err := r.verifier.Adopt(raw)
	if adopted {
		set := r.verifier.Trust().KeySet()
		r.log.Info("took a key set", "from", from, "version", set.Version, "keys", len(set.Keys), "root", envelope.KeyID(r.verifier.Trust().Root()))
		if err != nil {
			r.log.Error("the key set is in force and not on disk", "error", err)
		}
		return true
	}
	switch {
	case err == nil:
		r.say(from, 0, "", nil)
		return true
	case errors.Is(err, envelope.ErrSuperseded):
		return false
	}
	r.say(from, slog.LevelError, "refused the key set of the "+from, err)
	return false
}

// say logs a line where it is another one than the last of its kind. No error: all is well again.
func (r *Ring) say(of string, level slog.Level, message string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := ""
	if err != nil {
		line = message + err.Error()
	}
	if r.said[of] == line {
		return
	}
	r.said[of] = line
	if err != nil {
		r.log.Log(context.Background(), level, message, "error", err)
	}
}
