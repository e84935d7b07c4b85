package front

// termDetails is what terms may look at of a request, read when one does.
type termDetails struct{ *exchange }

// Header implements decision.Details.
func (d termDetails) Header() map[string][]string { return d.request.Header }

// Query implements decision.Details. What cannot be parsed is left out here, and of what is forwarded.
func (d termDetails) Query() map[string][]string { return d.request.URL.Query() }

// ClientIP implements decision.Details.
func (d termDetails) ClientIP() string { return d.client.address() }
