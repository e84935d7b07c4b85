package demo

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFile_LeadsToTheServiceThatRuns(t *testing.T) {
	t.Parallel()
	text, sum := file("http://127.0.0.1:23456")
	if strings.Contains(text, placeholder) || strings.Count(text, `"http://127.0.0.1:23456"`) != 1 {
		t.Errorf("the address is not in its place:\n%s", text)
	}
	if _, again := file("http://127.0.0.1:34567"); again != sum {
		t.Error("another address looks like another catalog")
	}
	for _, tenant := range tenants() {
		if !strings.Contains(text, "- key: "+tenant.plan+"\n") {
			t.Errorf("%s is on plan %s, which the catalog has not", tenant.externalID, tenant.plan)
		}
	}
}

func TestKeyring_IsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	empty, err := readKeys(path)
	if err != nil || len(empty.Keys) != 0 || empty.Catalog != "" {
		t.Fatalf("without a file: %+v, %v", empty, err)
	}
	want := &keyring{Catalog: "abc", Keys: map[string]keptKey{"free": {ID: "key_1", License: "lic_1", Secret: "tg_live_x"}}}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	if got, err := readKeys(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v; wrote %+v", got, err, want)
	}
}
