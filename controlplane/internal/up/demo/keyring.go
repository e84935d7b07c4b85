package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// keyring is what a demo remembers: its keys, and which catalog it applied.
type keyring struct {
	Catalog string             `json:"catalog"`
	Keys    map[string]keptKey `json:"keys"`
}

type keptKey struct {
	ID      string `json:"id"`
	License string `json:"license"`
	Secret  string `json:"secret"`
}

func readKeys(path string) (*keyring, error) {
	k := &keyring{Keys: map[string]keptKey{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the demo's keys: %w", err)
	}
	if err := json.Unmarshal(raw, k); err != nil || k.Keys == nil {
		return nil, fmt.Errorf("%s is not a file of the demo's keys: delete it, and new ones are made", path)
	}
	return k, nil
}

// write replaces the file, of mode 0600, at once.
func (k *keyring) write(path string) error {
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the demo's keys: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*")
	if err != nil {
		return fmt.Errorf("keep the demo's keys: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep the demo's keys: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("keep the demo's keys: %w", err)
	}
	return nil
}

// key returns the key that is kept for the tenant if it is still good for the licence, or makes one and keeps it.
func (a *API) key(ctx context.Context, t tenant, license string, kept *keyring) (string, error) {
	if k := kept.Keys[t.key]; k.License == license {
		good, err := a.good(ctx, k)
		if err != nil {
			return "", err
		}
		if good {
			return k.Secret, nil
		}
	}
	made, err := a.credentials.CreateApiKey(ctx, &adminv1.CreateApiKeyRequest{License: license, DisplayName: "demo"})
	if err != nil {
		return "", fmt.Errorf("create a key: %w", err)
	}
	kept.Keys[t.key] = keptKey{ID: made.GetApiKey().GetId(), License: license, Secret: made.GetSecret()}
	return made.GetSecret(), nil
}

// good reports whether the API still knows the key and has not revoked it.
func (a *API) good(ctx context.Context, k keptKey) (bool, error) {
	page := ""
	for {
		res, err := a.credentials.ListApiKeys(ctx, &adminv1.ListApiKeysRequest{
			PageSize: 1000, PageToken: page, Filter: "license = " + strconv.Quote(k.License),
		})
		if err != nil {
			return false, fmt.Errorf("look for the key: %w", err)
		}
		for _, got := range res.GetApiKeys() {
			if got.GetId() == k.ID {
				return got.GetRevokeTime() == nil, nil
			}
		}
		if page = res.GetNextPageToken(); page == "" {
			return false, nil
		}
	}
}
