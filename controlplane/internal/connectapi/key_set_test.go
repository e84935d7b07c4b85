package connectapi

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/envelope"
)

const keySetFleet = "test"

// keySetRoot is the root by which tests' APIs verify key sets.
func keySetRoot() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func keySetOpener() licensing.OpenKeySet {
	return keyring.OpenKeySet(envelope.NewVerifier(keySetFleet, keySetRoot().Public().(ed25519.PublicKey)))
}

// keySet is a signed set of one rules key, in base64.
func keySet(root ed25519.PrivateKey, fleet string, version uint64, subject string) string {
	key := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 1)).Public().(ed25519.PublicKey)
	signed, err := envelope.SignTrust(root, envelope.KeySet{Fleet: fleet, Version: version, CreatedAt: time.Unix(1_800_000_000, 0), Keys: []envelope.Certified{{
		Usage: envelope.UsageRules, Subject: subject, PublicKey: key, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(2_000_000_000, 0),
	}}}, nil)
	if err != nil {
		panic(err) // A set of constants.
	}
	return base64.StdEncoding.EncodeToString(signed)
}

func TestAPI_KeySetsAreVerifiedAndOnlyRise(t *testing.T) {
	t.Parallel()
	a := setup(t)
	const get, set = "FleetService/GetKeySet", "FleetService/SetKeySet"
	if res := a.post(get, `{}`); res.Code != "not_found" || !strings.Contains(res.Message, "tollgate trust init") {
		t.Errorf("before there is one: %s", res.Body)
	}
	root := keySetRoot()
	signed := keySet(root, keySetFleet, 5, "cp")
	body := func(s string) string { return fmt.Sprintf(`{"signed": %q}`, s) }
	if res := a.post(set, fmt.Sprintf(`{"signed": %q, "validateOnly": true}`, signed)); res.Status != 200 {
		t.Errorf("only validated: %s", res.Body)
	}
	if res := a.post(get, `{}`); res.Code != "not_found" {
		t.Errorf("a set that was only validated is there: %s", res.Body)
	}
	before := a.object("FleetService/WaitForEpoch", `{"timeout": "0s"}`)
	answered := a.object(set, body(signed))
	stored := a.object(get, `{}`)
	if fmt.Sprint(answered) != fmt.Sprint(stored) || at(stored, "keySet", "version") != "5" || at(stored, "keySet", "signed") != signed ||
		!strings.Contains(fmt.Sprint(at(stored, "keySet", "keys")), "subject:cp usage:rules") ||
		at(stored, "keySet", "root") != envelope.KeyID(root.Public().(ed25519.PublicKey)) {
		t.Errorf("answered %v, stored %v", answered, stored)
	}
	// The same again is no error, and changes nothing.
	if again := a.object(set, body(signed)); fmt.Sprint(again) != fmt.Sprint(stored) {
		t.Errorf("again: %v", again)
	}
	other := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 2))
	torn := []byte(signed)
	torn[len(torn)/2] ^= 1
	for _, r := range []struct{ name, body, code, says string }{
		{"nothing", `{}`, "invalid_argument", "signed"},
		{"no base64", `{"signed": "???"}`, "invalid_argument", "signed"},
		{"nonsense", body(base64.StdEncoding.EncodeToString([]byte("nonsense"))), "invalid_argument", "signed"},
		{"changed", body(string(torn)), "invalid_argument", "signed"},
		{"of another root", body(keySet(other, keySetFleet, 6, "cp")), "invalid_argument", "signed"},
		{"of another fleet", body(keySet(root, "other", 6, "cp")), "invalid_argument", "fleet"},
		{"older", body(keySet(root, keySetFleet, 4, "cp")), "failed_precondition", "version 4, and 5 is in force"},
		{"another of the same version", body(keySet(root, keySetFleet, 5, "other")), "failed_precondition", "two of version 5"},
		{"too long", body(base64.StdEncoding.EncodeToString(make([]byte, 600<<10))), "invalid_argument", "signed"},
	} {
		if res := a.post(set, r.body); res.Code != r.code || !strings.Contains(res.Message, r.says) {
			t.Errorf("%s: %d %s, want %s, %s", r.name, res.Status, res.Body, r.code, r.says)
		}
	}
	for _, role := range []licensing.Role{licensing.Viewer, licensing.Editor} {
		header := []string{"Authorization", "Bearer " + a.token(role)}
		if res := a.post(set, body(keySet(root, keySetFleet, 6, "cp")), header...); res.Code != "permission_denied" {
			t.Errorf("%s sets a key set: %s", role, res.Body)
		}
		if res := a.post(get, `{}`, header...); res.Status != 200 {
			t.Errorf("%s reads it: %s", role, res.Body)
		}
	}
	if after := a.object(get, `{}`); fmt.Sprint(after) != fmt.Sprint(stored) {
		t.Errorf("what was refused changed %v to %v", stored, after)
	}
	if after := a.object("FleetService/WaitForEpoch", `{"timeout": "0s"}`); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("a key set is no rule, and the epoch moved: %v, %v", before, after)
	}
	if newer := a.object(set, body(keySet(root, keySetFleet, 6, "cp"))); at(newer, "keySet", "version") != "6" {
		t.Errorf("a newer one: %v", newer)
	}
}

func TestAPI_WithoutARootNoKeySetIsTaken(t *testing.T) {
	t.Parallel()
	a := setup(t)
	svc, err := licensing.New(licensing.Config{Store: a.db.Licensing(), Encoder: rulefeed.Encoder{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.SetKeySet(t.Context(), []byte("x")); licensing.CodeOf(err) != licensing.FailedPrecondition {
		t.Errorf("taken: %v", err)
	}
}
