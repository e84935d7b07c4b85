package licensing_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

// What a customer was before an import changed it stands in the audit alone: a file of many rows must not hide it, and no event is larger than can
// be listed.
func TestImport_TheAuditTellsWhatCustomersWere(t *testing.T) {
	t.Parallel()
	f := setup(t)
	imported := func(n int, zone string) {
		t.Helper()
		out, _, err := f.ImportCustomers(t.Context(), func(yield func(licensing.ImportRow[licensing.CustomerRow], error) bool) {
			for i := range n {
				id := fmt.Sprint("c-", i)
				row := licensing.CustomerRow{Customer: licensing.Customer{ExternalID: id, TimeZone: zone}, Columns: []string{"external_id", "time_zone"}}
				if !yield(licensing.ImportRow[licensing.CustomerRow]{Line: i + 2, ExternalID: id, Value: row}, nil) {
					return
				}
			}
		})
		if err != nil || out.Failed > 0 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	imported(1000, "Europe/Berlin")
	imported(12, "Asia/Tokyo")
	last := events(t, f)[0]
	if was, is := strings.Count(last.Before, "Europe/Berlin"), strings.Count(last.After, "Asia/Tokyo"); was != 12 || is != 12 {
		t.Errorf("the audit tells of %d what they were, and of %d what they are", was, is)
	}
	imported(1000, "Europe/Paris")
	last = events(t, f)[0]
	if was := strings.Count(last.Before, "/"); was < 100 || len(last.Before)+len(last.After) > 160<<10 {
		t.Errorf("the audit tells of %d, in %d and %d bytes", was, len(last.Before), len(last.After))
	}
	if got := strings.Count(last.After, "cus_"); got < 1000 {
		t.Errorf("the audit names %d", got)
	}
}
