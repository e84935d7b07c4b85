package ruleset_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/bus/bustest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// A chunk on disk that is missing, or whole and another than its manifest says, leads to nothing: the rules are dropped, and come from the control
// plane as soon as that is there.
func TestI6_AChunkThatIsNotTheManifestsIsNotEnforced(t *testing.T) {
	t.Parallel()
	const name = "1.00000000000000000002.1"
	for what, spoil := range map[string]func(s *setup, dir string) error{
		"missing": func(_ *setup, dir string) error { return os.Remove(filepath.Join(dir, name)) },
		"another": func(s *setup, dir string) error {
			disk := s.open(dir)
			return errors.Join(disk.Put(name, s.encode(&rulesv1.SnapshotChunk{Records: []*rulesv1.Record{service("a", "http://evil")}})), disk.Close(nil, 0, true))
		},
		"the one before": func(s *setup, dir string) error {
			disk := s.open(dir)
			other, err := disk.Snapshot(t.Context(), "1.00000000000000000002.0")
			return errors.Join(err, disk.Put(name, other), disk.Close(nil, 0, true))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, dir := lived(t, nil, true)
			if err := spoil(s, dir); err != nil {
				t.Fatal(err)
			}
			n := s.nodeOn(dir)
			bustest.Eventually(t, "the rules on disk are dropped", func() bool { return len(listed(t, dir)) == 0 })
			if at := n.Epoch(); at != (decision.Epoch{}) {
				t.Errorf("%v is enforced", at)
			}
			n.Stop()
			s.down = false
			n = s.nodeOn(dir)
			n.enforces(1, 4)
			n.has(afterFour)
		})
	}
}
