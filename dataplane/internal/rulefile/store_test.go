package rulefile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/rulefile"
)

func epoch(n uint64) decision.Epoch { return decision.Epoch{Generation: 1, Number: n} }

func open(t *testing.T, dir string, key []byte) *rulefile.Store {
	t.Helper()
	s, err := rulefile.Open(rulefile.Config{Dir: dir, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fill leaves a snapshot at 10 of two chunks and change sets 11 to 15.
func fill(t *testing.T, s *rulefile.Store) {
	t.Helper()
	must(t, s.Put("1.00000000000000000010.0", []byte("chunk 0")), s.Put("1.00000000000000000010.1", []byte("chunk 1")),
		s.Put("1.00000000000000000010", []byte("manifest")), s.Begin(epoch(10)))
	for n := uint64(11); n <= 15; n++ {
		must(t, s.Append(epoch(n), fmt.Appendf(nil, "change %d", n), n != 13))
	}
}

func changes(t *testing.T, s *rulefile.Store) []string {
	t.Helper()
	var all []string
	must(t, s.ChangeSets(func(raw []byte) bool { all = append(all, string(raw)); return true }))
	return all
}

var all = []string{"change 11", "change 12", "change 13", "change 14", "change 15"}

func TestStore_LeavesWhatWasPut(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][]byte{"plain": nil, "sealed": bytes.Repeat([]byte{7}, 32)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, key)
			if e, whole := s.Newest(); e != (decision.Epoch{}) || !whole {
				t.Errorf("nothing is there, and yet %v, %t", e, whole)
			}
			fill(t, s)
			must(t, s.Seen([]byte("early"), time.Second), s.Close([]byte("late"), time.Minute, true))

			s = open(t, dir, key)
			if e, whole := s.Newest(); e != epoch(15) || !whole {
				t.Errorf("newest %v, %t", e, whole)
			}
			if got := changes(t, s); !slices.Equal(got, all) {
				t.Errorf("change sets %q", got)
			}
			if got, err := s.Snapshot(t.Context(), "1.00000000000000000010.1"); err != nil || string(got) != "chunk 1" {
				t.Errorf("chunk %q, %v", got, err)
			}
			if raw, age, clean := s.LastSeen(); string(raw) != "late" || age != time.Minute || !clean {
				t.Errorf("heartbeat %q of %v, %t", raw, age, clean)
			}
			// This one is killed: the next knows.
			must(t, s.Append(epoch(16), []byte("change 16"), true))
			s = open(t, dir, key)
			if raw, age, clean := s.LastSeen(); string(raw) != "late" || age != time.Minute || clean {
				t.Errorf("after a kill: heartbeat %q of %v, %t", raw, age, clean)
			}
			if e, _ := s.Newest(); e != epoch(16) {
				t.Errorf("after a kill: newest %v", e)
			}
			must(t, s.Close(nil, 0, false))
			s = open(t, dir, key)
			if _, _, clean := s.LastSeen(); clean {
				t.Error("what is not to be believed is clean")
			}
			if key == nil {
				return
			}
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				raw, err := os.ReadFile(path)
				for _, secret := range []string{"chunk 0", "manifest", "change 1", "late"} {
					if bytes.Contains(raw, []byte(secret)) {
						t.Errorf("%s holds %q for all to read", path, secret)
					}
				}
				return err
			})
			must(t, err)
			other := open(t, dir, bytes.Repeat([]byte{8}, 32))
			if e, whole := other.Newest(); whole {
				t.Errorf("under another key: %v is whole", e)
			}
			if _, err := other.Snapshot(t.Context(), "1.00000000000000000010"); err == nil {
				t.Error("the manifest opens under another key")
			}
		})
	}
}

// A newer snapshot takes the place of what is older, and of nothing else.
func TestStore_BeginsWithANewerSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	fill(t, s)
	must(t, s.Put("1.00000000000000000013.0", []byte("c")), s.Put("1.00000000000000000013", []byte("m")), s.Begin(epoch(13)))
	must(t, s.Append(epoch(16), []byte("change 16"), true))
	for range 2 {
		names, err := s.Snapshots(t.Context())
		slices.Sort(names)
		if err != nil || !slices.Equal(names, []string{"1.00000000000000000013", "1.00000000000000000013.0"}) {
			t.Errorf("snapshots %q, %v", names, err)
		}
		if got := changes(t, s); !slices.Equal(got, []string{"change 14", "change 15", "change 16"}) {
			t.Errorf("change sets %q", got)
		}
		if size, n := s.Logged(); n != 3 || size == 0 {
			t.Errorf("logged %d, %d bytes", n, size)
		}
		s = open(t, dir, nil)
	}
	s.Forget(decision.Epoch{})
	if e, _ := s.Newest(); e != (decision.Epoch{}) || len(changes(t, s)) != 0 {
		t.Errorf("forgotten, and yet %v", e)
	}
}

// Cut anywhere, the log holds a prefix of what was appended. Changed anywhere, it holds no more than that, and does not say that it is whole beyond.
func TestStore_ATornLogIsCutToWhatIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, open(t, dir, nil))
	path := filepath.Join(dir, "log")
	whole, err := os.ReadFile(path)
	must(t, err)
	prefix := func(got []string) bool { return len(got) <= len(all) && slices.Equal(got, all[:len(got)]) }
	for n := range whole {
		must(t, os.WriteFile(path, whole[:n], 0o600))
		s := open(t, dir, nil)
		got := changes(t, s)
		if !prefix(got) {
			t.Fatalf("cut at %d: %q", n, got)
		}
		// It goes on where it was cut.
		must(t, s.Append(epoch(99), []byte("next"), true))
		if again := changes(t, open(t, dir, nil)); !slices.Equal(again, append(got, "next")) {
			t.Fatalf("cut at %d, and appended to: %q", n, again)
		}
		bad := bytes.Clone(whole)
		bad[n] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o600))
		if got := changes(t, open(t, dir, nil)); !prefix(got) || len(got) == len(all) {
			t.Fatalf("changed at %d: %q", n, got)
		}
	}
}

// What could not be written is a hole: nothing goes on behind it, until a snapshot covers it.
func TestStore_NothingIsAppendedBehindAHole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	fill(t, s)
	s.BreakLog()
	if err := s.Append(epoch(16), []byte("change 16"), true); err == nil {
		t.Fatal("a closed file takes what is written")
	}
	if err := s.Append(epoch(17), []byte("change 17"), true); err == nil {
		t.Error("appended behind a hole")
	}
	must(t, s.Put("1.00000000000000000016", []byte("m")))
	if err := s.Begin(epoch(16)); err == nil {
		t.Error("a snapshot in the hole covers it")
	}
	must(t, s.Put("1.00000000000000000017", []byte("m")), s.Begin(epoch(17)), s.Append(epoch(18), []byte("change 18"), true))
	if got := changes(t, s); !slices.Equal(got, []string{"change 18"}) {
		t.Errorf("change sets %q", got)
	}
	must(t, s.Close(nil, 0, true))
	s = open(t, dir, nil)
	if e, whole := s.Newest(); e != epoch(18) || !whole {
		t.Errorf("newest %v, %t", e, whole)
	}
}

// A copy that broke off was not enforced: what was is all there.
func TestStore_AnUnfinishedCopyCostsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	fill(t, s)
	must(t, s.Put("1.00000000000000000020.0", []byte("chunk")))
	for range 2 {
		if e, whole := s.Newest(); e != epoch(15) || !whole {
			t.Errorf("newest %v, %t", e, whole)
		}
		must(t, s.Close([]byte("seen"), 0, true))
		s = open(t, dir, nil)
		if _, _, clean := s.LastSeen(); !clean {
			t.Error("it ended as it should")
		}
	}
	must(t, s.Put("1.00000000000000000021", []byte("m")), s.Begin(epoch(21)))
	if names, err := s.Snapshots(t.Context()); err != nil || !slices.Equal(names, []string{"1.00000000000000000021"}) {
		t.Errorf("snapshots %q, %v", names, err)
	}
}

// What was enforced and is not here makes what is here older: it is dropped, and nothing counts until a snapshot covers it.
func TestStore_WhatIsOlderThanALostEpochGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	fill(t, s)
	s.Lost(epoch(20))
	if e, whole := s.Newest(); e != (decision.Epoch{}) || whole {
		t.Errorf("newest %v, %t", e, whole)
	}
	if err := s.Append(epoch(21), []byte("change 21"), true); err == nil {
		t.Error("what is behind a hole counts")
	}
	must(t, s.Put("1.00000000000000000019", []byte("m")))
	if s.Begin(epoch(19)) == nil {
		t.Error("begins with what is older")
	}
	if names, err := s.Snapshots(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("snapshots %q, %v", names, err)
	}
	if s.Missing() != epoch(20) {
		t.Errorf("%v is missing", s.Missing())
	}
	// The change sets behind it were not in vain.
	must(t, s.Put("1.00000000000000000020", []byte("m")), s.Begin(epoch(20)), s.Append(epoch(22), []byte("change 22"), true))
	if got := changes(t, s); !slices.Equal(got, []string{"change 21", "change 22"}) {
		t.Errorf("change sets %q", got)
	}
	if e, whole := s.Newest(); e != epoch(22) || !whole || s.Missing() != (decision.Epoch{}) {
		t.Errorf("newest %v, %t; %v is missing", e, whole, s.Missing())
	}
}

// Two may copy snapshots: the older one must not take the newer one's place.
func TestStore_ANewerSnapshotStays(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	fill(t, s)
	must(t, s.Put("1.00000000000000000030", []byte("m")), s.Begin(epoch(30)), s.Put("1.00000000000000000013", []byte("m")))
	if s.Begin(epoch(13)) == nil {
		t.Error("begins with what is older")
	}
	if names, err := s.Snapshots(t.Context()); err != nil || !slices.Equal(names, []string{"1.00000000000000000030"}) {
		t.Errorf("snapshots %q, %v", names, err)
	}
}

func TestStore_WhatCannotBeWrittenTakesNoRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	const name = "1.00000000000000000020"
	must(t, os.MkdirAll(filepath.Join(dir, name, "in the way"), 0o700))
	if s.Put(name, []byte("manifest")) == nil {
		t.Fatal("a folder was replaced")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.tmp")); err != nil || len(left) != 0 {
		t.Errorf("%q are left, %v", left, err)
	}
}

func TestStore_AFreezeOutlivesWhatIsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bytes.Repeat([]byte{7}, 32))
	if g := s.Frozen(); g != 0 {
		t.Errorf("%d is frozen", g)
	}
	must(t, s.Freeze(3))
	s.Forget(decision.Epoch{})
	if g := open(t, dir, bytes.Repeat([]byte{7}, 32)).Frozen(); g != 3 {
		t.Errorf("%d is frozen", g)
	}
}

// What was enforced is known where the rules of it are gone.
func TestI6_TheEpochOutlivesRulesThatAreDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bytes.Repeat([]byte{7}, 32))
	fill(t, s)
	if at := s.Least(); at != (decision.Epoch{}) {
		t.Errorf("nothing was dropped, and yet %v", at)
	}
	s.Lost(epoch(20))
	s.Lost(epoch(17))
	s.Forget(epoch(12))
	if at := open(t, dir, bytes.Repeat([]byte{7}, 32)).Least(); at != epoch(20) {
		t.Errorf("at least %v, want 1.20", at)
	}
}
