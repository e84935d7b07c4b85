package up

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenDataDir_IsHeldByOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(dir); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("opened twice: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestOpenDataDir_SaysWhatToDoWhereItCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "data"), "/proc/data"} {
		_, err := openDataDir(dir)
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data-dir") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", dir, err)
		}
	}
}

func TestSecret_IsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	d, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	values := []string{"one", "two"}
	next := func() (string, error) { v := values[0]; values = values[1:]; return v, nil }
	for range 2 {
		if got, err := d.secret("token", next); err != nil || got != "one" {
			t.Errorf("secret %q, %v", got, err)
		}
	}
	if st, err := os.Stat(d.join("token")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
}
