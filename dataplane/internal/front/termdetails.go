package front

import "net/url"

// termDetails is what terms may look at of a request, read when one does.
type termDetails struct{ *exchange }

// Header implements decision.Details.
func (d termDetails) Header() map[string][]string { return d.request.Header }

// Query implements decision.Details. The query is forwarded as it came, so what cannot be parsed must not be left out here: an upstream might
// read it.
func (d termDetails) Query() (map[string][]string, error) {
	return url.ParseQuery(d.request.URL.RawQuery)
}

// ClientIP implements decision.Details.
func (d termDetails) ClientIP() string { return d.client.address() }
