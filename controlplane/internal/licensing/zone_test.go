package licensing_test

import (
	"testing"

	"tollgate/controlplane/internal/licensing"
)

// A zone that only this machine has would stop every node that has it not: the change set with the customer is refused there whole.
func TestI6_TimeZonesAreThoseThatEveryNodeHas(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT-14", "EST5EDT"} {
		c := licensing.Customer{ExternalID: "acme", TimeZone: name}
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"Local", "localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin", "Europe//Berlin", "Europe/./Berlin", "./UTC", "europe/berlin/",
	} {
		c := licensing.Customer{ExternalID: "acme", TimeZone: name}
		err := c.Validate()
		wantCode(t, err, licensing.InvalidArgument)
		if field(err) != "time_zone" {
			t.Errorf("%q: the error is at %q", name, field(err))
		}
	}
}
