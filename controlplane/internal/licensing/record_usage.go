package licensing

import (
	"context"
	"time"
)

// InsertUsageEvents implements Tx. Each event is in the table: the audit says how many came, and which were the first and the last.
func (r *recorder) InsertUsageEvents(ctx context.Context, e []CountedEvent, now time.Time) ([]EventKey, error) {
	out, err := r.Tx.InsertUsageEvents(ctx, e, now)
	if err == nil && len(out) > 0 {
		r.note(kindUsageEvents, out[0].Source, nil, map[string]any{"Accepted": len(out), "First": out[0], "Last": out[len(out)-1]})
	}
	return out, err
}

func (r *recorder) InsertUsageCorrection(ctx context.Context, c UsageCorrection) error {
	_, err := inserted(r, kindUsageCorrection, c.ID, c, r.Tx.InsertUsageCorrection(ctx, c))
	return err
}
