package publisher

import (
	"testing"
	"time"
)

func TestRest_DoublesUpToAMinuteAndNamesAReasonOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var r rest
	for i, want := range []struct {
		reason string
		pause  time.Duration
		isNew  bool
	}{
		{"full", time.Second, true}, {"full", 2 * time.Second, false}, {"full", 4 * time.Second, false}, {"away", 8 * time.Second, true},
		{"full", 16 * time.Second, true}, {"full", 32 * time.Second, false}, {"full", time.Minute, false}, {"full", time.Minute, false},
	} {
		var isNew bool
		if r, isNew = r.after(want.reason, now); r.pause != want.pause || isNew != want.isNew || !r.until.Equal(now.Add(want.pause)) {
			t.Errorf("failure %d: %+v, new %v; want %+v", i+1, r, isNew, want)
		}
	}
}
