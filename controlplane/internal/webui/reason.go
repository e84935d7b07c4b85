package webui

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"tollgate/dataplane/decision"
)

//go:embed reason.html
var templates embed.FS

// reasonPage is what a denial's `type` leads to.
type reasonPage struct {
	Code    string `json:"code"`
	Title   string `json:"title"`
	Outcome string `json:"outcome"`
	// Status is 0 where it is the upstream's.
	Status int    `json:"status,omitempty"`
	Step   string `json:"step"`
	Advice string `json:"advice"`
}

// reasons explains the {code} of a path: to a browser as a page, to programs as JSON. It needs no token: whoever was
// denied follows the link.
func reasons() (http.Handler, error) {
	page, err := template.ParseFS(templates, "reason.html")
	if err != nil {
		return nil, fmt.Errorf("parse the page of a reason: %w", err)
	}
	byCode := map[string]reasonPage{}
	for _, r := range decision.Reasons() {
		byCode[string(r.Code)] = reasonPage{string(r.Code), r.Title, string(r.Outcome), r.Status, string(r.Step), advice(r)}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		reason, ok := byCode[r.PathValue("code")]
		if !ok {
			http.Error(w, "no such reason", http.StatusNotFound)
			return
		}
		w.Header().Set("Vary", "Accept")
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(reason) // Fails only where the reader went away.
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, reason) // As above: the template is tested with every reason.
	}), nil
}

// advice says what a client can do, by what the status means.
func advice(r decision.Reason) string {
	switch r.Code {
	case decision.FeatureNotInPlan:
		return "The route needs a feature that the plan does not grant. Another plan may."
	case decision.BlockedByTerm:
		return "A rule of the API's provider does not allow this request. The detail may say why; sending it again does not help."
	case decision.ThrottledByTerm:
		return "A rule of the API's provider does not allow this request for now. Wait as many seconds as Retry-After says."
	case decision.TermError:
		return "A rule of the API's provider could not be applied to this request, so it was not let through. Tell the provider which rule: policy names it."
	case decision.QuotaExhausted:
		return "The units of this period are used up. Wait until reset_at; where there is none, waiting does not help."
	case decision.PaymentRequired:
		return "A payment is missing, and the time that was given for it is over. Access comes back when it is paid."
	case decision.LicenseNotStarted:
		return "The licence is not in force yet. Try again once it has started."
	case decision.UpstreamFailed, decision.UpstreamTimeout:
		return "The request was let through, and the service behind the proxy did not answer it."
	}
	switch r.Status {
	case http.StatusTooManyRequests:
		return "Wait as many seconds as Retry-After says, and send the request again."
	case http.StatusForbidden:
		return "The credential is good, but what it stands for does not allow this request. Sending it again does not help: ask whoever gave you access."
	case http.StatusUnauthorized:
		return "Send exactly one valid credential: Authorization: Bearer tg_… or X-Api-Key: tg_…"
	case http.StatusNotFound:
		return "Nothing is served at this host, path and method. Check the address."
	case http.StatusBadRequest:
		return "The request could be read in more than one way, so it was not read at all. The detail says what is wrong."
	case http.StatusServiceUnavailable:
		return "The proxy cannot decide now. Nothing is wrong with the request: wait as many seconds as Retry-After says."
	default:
		return "The request was let through."
	}
}
