package connectapi

import (
	"strconv"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/table"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func fromAPIKey(k *adminv1.ApiKey) licensing.APIKey {
	return licensing.APIKey{ID: k.GetId(), DisplayName: k.GetDisplayName(), ExpiresAt: fromTime(k.GetExpiresAt()), Etag: k.GetEtag()}
}

func fromHashedKey(k *adminv1.HashedApiKey) licensing.HashedKey {
	return licensing.HashedKey{
		License: k.GetLicense(), LicenseExternal: k.GetLicenseExternalId(), DisplayName: k.GetDisplayName(),
		SHA256: k.GetSha256(), ExpiresAt: fromTime(k.GetExpiresAt()), Prefix: k.GetPrefix(),
	}
}

func toKeyImport(k *licensing.KeyImport) *adminv1.ImportedApiKey {
	return &adminv1.ImportedApiKey{ApiKey: k.ID, Existed: k.Existed}
}

func toImportResult(i *licensing.Imported) *adminv1.ImportResult {
	to := &adminv1.ImportResult{
		Created: int32(i.Created), Updated: int32(i.Updated), Unchanged: int32(i.Unchanged), Failed: int32(i.Failed),
		Errors: each(i.Errors, toImportError),
	}
	if i.Stopped != nil {
		to.Stopped = toImportError(i.Stopped)
	}
	return to
}

func toImportError(e *licensing.ImportError) *adminv1.ImportError {
	return &adminv1.ImportError{Line: int32(e.Line), Field: e.Field, Message: e.Message}
}

// The columns of files, by what their rows become.
var (
	customerColumns = table.Columns{
		Required: []string{"external_id"}, Optional: []string{"display_name", "time_zone"}, Families: []string{metadataFamily},
	}
	licenseColumns = table.Columns{
		Required: []string{"external_id", "plan"},
		Optional: []string{"external_customer_id", "customer", "plan_version", "starts_at", "ends_at", "anchor"},
	}
)

const metadataFamily = "metadata."

func fromCustomerRow(r *table.Row, columns []string) (licensing.CustomerRow, *licensing.Error) {
	return licensing.CustomerRow{
		Columns: columns,
		Customer: licensing.Customer{
			ExternalID: r.Get("external_id"), DisplayName: r.Get("display_name"), TimeZone: r.Get("time_zone"), Metadata: r.Family(metadataFamily),
		},
	}, nil
}

func fromLicenseRow(r *table.Row, columns []string) (licensing.LicenseRow, *licensing.Error) {
	l := licensing.License{ExternalID: r.Get("external_id"), Customer: r.Get("customer"), Plan: r.Get("plan")}
	out := licensing.LicenseRow{Columns: columns, ExternalCustomer: r.Get("external_customer_id")}
	if l.Customer != "" && out.ExternalCustomer != "" {
		return out, rowFault("customer", "is given beside external_customer_id: name the customer once")
	}
	if v := r.Get("plan_version"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return out, rowFault("plan_version", "is not a version's number: leave it empty for the newest")
		}
		l.PlanVersion = uint32(n)
	}
	for _, date := range []struct {
		column string
		to     *time.Time
	}{{"starts_at", &l.StartsAt}, {"ends_at", &l.EndsAt}, {"anchor", &l.Anchor}} {
		at, ok := parseInstant(r.Get(date.column))
		if !ok {
			return out, rowFault(date.column, "is neither a time like 2027-01-31T15:04:05Z nor a day like 2027-01-31, which begins at 00:00 UTC")
		}
		*date.to = at
	}
	out.License = l
	return out, nil
}

func rowFault(field, message string) *licensing.Error {
	return &licensing.Error{Code: licensing.InvalidArgument, Field: field, Message: message}
}

// parseInstant reads RFC 3339 or a day; empty is the zero time.
func parseInstant(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
