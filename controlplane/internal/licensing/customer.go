package licensing

import "maps"

// Customer is who pays.
type Customer struct {
	ID          string // cus_ + ULID.
	ExternalID  string // The seller's own id. Unique.
	DisplayName string
	TimeZone    string // IANA name in which calendar periods are counted. Empty: UTC.
	Metadata    map[string]string
	Meta
}

// maxExternalID is the longest id of the seller's own, in bytes.
const maxExternalID = 200

// Validate checks what callers set.
func (c *Customer) Validate() error {
	if c.ExternalID == "" {
		return invalid("external_id", "is required")
	}
	if err := checkText("external_id", c.ExternalID, maxExternalID); err != nil {
		return err
	}
	if err := checkText("display_name", c.DisplayName, 200); err != nil {
		return err
	}
	if len(c.TimeZone) > 64 {
		return invalid("time_zone", "is longer than 64 bytes")
	}
	if err := checkZone("time_zone", c.TimeZone); err != nil {
		return err
	}
	if len(c.Metadata) > 64 {
		return invalid("metadata", "has more than 64 entries")
	}
	for k, v := range c.Metadata {
		if k == "" {
			return invalid("metadata", "has an empty name")
		}
		if err := checkText("metadata", k, 64); err != nil {
			return err
		}
		if err := checkText("metadata."+k, v, 1024); err != nil {
			return err
		}
	}
	return nil
}

func (c *Customer) sameAs(o *Customer) bool {
	return c.ExternalID == o.ExternalID && c.DisplayName == o.DisplayName && c.TimeZone == o.TimeZone &&
		maps.Equal(c.Metadata, o.Metadata)
}

// sameRule reports whether nodes could not tell the two apart.
func (c *Customer) sameRule(o *Customer) bool {
	return c.ExternalID == o.ExternalID && c.TimeZone == o.TimeZone
}
