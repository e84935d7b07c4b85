package licensing

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/dataplane/apikey"
)

// How many keys one call imports, and how many of its faults it is told.
const (
	maxImportKeys   = 1000
	maxImportFaults = 100
	// maxHint is how much of a key is kept in clear, at most.
	maxHint = 12
)

// HashedKey is an API key that was made elsewhere.
type HashedKey struct {
	License         string // The licence's id; either this or LicenseExternal.
	LicenseExternal string
	DisplayName     string
	SHA256          string // Of the whole key as clients send it, in hex.
	ExpiresAt       time.Time
	Prefix          string // The key's first characters.
}

// KeyImport is what became of one key.
type KeyImport struct {
	ID string
	// Existed: it was there for that licence already, and stayed as it was.
	Existed bool
}

// ImportedKeys are in the order asked.
type ImportedKeys struct {
	Results  []KeyImport
	Imported int
}

// faults collects what is wrong with the items of a list.
type faults struct {
	list  string
	first *Error
}

// add notes err of the i-th item, where it is the caller's to act on; others come back.
func (f *faults) add(i int, err error) error {
	bad, err := rowError(err)
	if bad == nil {
		return err
	}
	bad, _ = rowError(at(fmt.Sprintf("%s[%d]", f.list, i), bad))
	switch {
	case f.first == nil:
		f.first = bad
	case len(f.first.More) < maxImportFaults-1:
		f.first.More = append(f.first.More, bad)
	}
	return nil
}

func (f *faults) err() error {
	if f.first == nil {
		return nil
	}
	return f.first
}

// ImportAPIKeys takes over keys that clients hold, by their hashes: all of them, or, where anything is wrong with one, none. A key that is
// there for the same licence stays as it is, a revoked one too. No hash that was given is stored: see apikey.HashImported.
func (s *Service) ImportAPIKeys(ctx context.Context, keys []HashedKey) (ImportedKeys, Epoch, error) {
	if len(keys) == 0 || len(keys) > maxImportKeys {
		return ImportedKeys{}, Epoch{}, invalid("api_keys", "holds %d keys: send 1 to %d", len(keys), maxImportKeys)
	}
	sums, wrong := readHashed(keys)
	var out ImportedKeys
	epoch, err := s.write(ctx, &out, func(w *write) error {
		out = ImportedKeys{Results: make([]KeyImport, len(keys))}
		made, err := w.importKeys(ctx, keys, sums, wrong, out.Results)
		if err != nil || len(made) == 0 {
			return err
		}
		out.Imported = len(made)
		if made, err = w.InsertAPIKeys(ctx, made); err != nil {
			return err
		}
		for i := range made {
			w.rule(&made[i])
		}
		return nil
	})
	if err != nil {
		return ImportedKeys{}, Epoch{}, err
	}
	return out, epoch, nil
}

// readHashed reads the hashes of keys, and says what is wrong with each as far as that shows without looking at what is stored.
func readHashed(keys []HashedKey) (sums [][32]byte, wrong []error) {
	sums, wrong = make([][32]byte, len(keys)), make([]error, len(keys))
	seen := make(map[[32]byte]int, len(keys))
	for i := range keys {
		if wrong[i] = keys[i].validate(); wrong[i] != nil {
			continue
		}
		if _, wrong[i] = hex.Decode(sums[i][:], []byte(keys[i].SHA256)); wrong[i] != nil {
			continue
		}
		if first, twice := seen[sums[i]]; twice {
			wrong[i] = invalid("sha256", "is that of api_keys[%d], too", first)
			continue
		}
		seen[sums[i]] = i
	}
	return sums, wrong
}

func (k *HashedKey) validate() error {
	switch {
	case k.License == "" && k.LicenseExternal == "":
		return invalid("license", "is required: the licence's id, or license_external_id")
	case k.License != "" && k.LicenseExternal != "":
		return invalid("license_external_id", "is given beside license: name the licence once")
	}
	if err := checkText("license", k.License, maxKey); err != nil {
		return err
	}
	if err := checkText("license_external_id", k.LicenseExternal, maxExternalID); err != nil {
		return err
	}
	if err := checkText("display_name", k.DisplayName, 200); err != nil {
		return err
	}
	if b, err := hex.DecodeString(k.SHA256); err != nil || len(b) != len(emptySum) {
		return invalid("sha256", "is not 64 characters of hex")
	}
	if strings.EqualFold(k.SHA256, hex.EncodeToString(emptySum[:])) {
		return invalid("sha256", "is the hash of nothing: the key was empty when it was hashed")
	}
	if err := checkText("prefix", k.Prefix, 4*maxHint); err != nil {
		return err
	}
	if utf8.RuneCountInString(k.Prefix) > maxHint {
		return invalid("prefix", "is longer than %d characters: it is kept in clear, so it must not hold the key", maxHint)
	}
	return checkTime("expires_at", k.ExpiresAt)
}

var emptySum = apikey.Sum("")

// importKeys are the keys that are not there yet. What becomes of each is put into results. All that is wrong is told at once.
func (w *write) importKeys(ctx context.Context, keys []HashedKey, sums [][32]byte, wrong []error, results []KeyImport) ([]APIKey, error) {
	fleet, err := w.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	hashes, raw := make([][32]byte, len(keys)), make([][]byte, len(keys))
	for i := range sums {
		hashes[i] = apikey.HashImported(fleet.Pepper, sums[i])
		raw[i] = hashes[i][:]
	}
	found, err := w.ImportedAPIKeys(ctx, raw)
	if err != nil {
		return nil, err
	}
	known := make(map[[32]byte]*APIKey, len(found))
	for i := range found {
		known[found[i].Hash] = &found[i]
	}
	licenses, err := w.licensesOf(ctx, keys, wrong)
	if err != nil {
		return nil, err
	}
	var made []APIKey
	bad := faults{list: "api_keys"}
	for i := range keys {
		k, err := APIKey{}, wrong[i]
		if err == nil {
			k, err = keys[i].key(licenses, known[hashes[i]], w.now)
		}
		if err != nil {
			if err := bad.add(i, err); err != nil {
				return nil, err
			}
			continue
		}
		if results[i].Existed = k.ID != ""; !results[i].Existed {
			k.Hash, k.Imported, k.CreateTime = hashes[i], true, w.now
			if k.ID, err = w.svc.newID(apikey.IDPrefix, w.now); err != nil {
				return nil, err
			}
			made = append(made, k)
		}
		results[i].ID = k.ID
	}
	return made, bad.err()
}

// licensesOf are the licences that keys name which are not wrong by themselves, by id and, after a space, by external id.
func (w *write) licensesOf(ctx context.Context, keys []HashedKey, wrong []error) (map[string]*License, error) {
	var ids, external []string
	for i := range keys {
		switch {
		case wrong[i] != nil:
		case keys[i].License != "":
			ids = append(ids, keys[i].License)
		default:
			external = append(external, keys[i].LicenseExternal)
		}
	}
	found, err := w.LicensesNamed(ctx, ids, external)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*License, 2*len(found))
	for i := range found {
		l := &found[i]
		out[l.ID] = l
		if l.ExternalID != "" {
			out[" "+l.ExternalID] = l
		}
	}
	return out, nil
}

// key is the key that is to be made, or the one that is there: that has an id.
func (k *HashedKey) key(licenses map[string]*License, known *APIKey, now time.Time) (APIKey, error) {
	field, name, l := "license", k.License, licenses[k.License]
	if k.License == "" {
		field, name, l = "license_external_id", k.LicenseExternal, licenses[" "+k.LicenseExternal]
	}
	switch {
	case l == nil:
		return APIKey{}, at(field, Missing(KindLicense, name))
	case known != nil && known.License != l.ID:
		return APIKey{}, &Error{
			Code: AlreadyExists, Field: "sha256", Message: "is that of a key of another licence",
			Details: map[string]string{"kind": string(KindAPIKey), "id": known.ID},
		}
	case known != nil:
		return *known, nil
	}
	if err := takesKeys(l); err != nil {
		return APIKey{}, at(field, err)
	}
	out := APIKey{License: l.ID, DisplayName: k.DisplayName, Prefix: k.Prefix, ExpiresAt: micros(k.ExpiresAt)}
	return out, ahead("expires_at", out.ExpiresAt, now)
}
