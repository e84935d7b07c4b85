package front

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tollgate/dataplane/decision"
)

// problem is a denial's body (RFC 9457).
type problem struct {
	Type       string        `json:"type"`
	Title      string        `json:"title"`
	Status     int           `json:"status"`
	Detail     string        `json:"detail"`
	Code       decision.Code `json:"code"`
	Source     string        `json:"source"`
	DecisionID string        `json:"decision_id"`
	Policy     string        `json:"policy,omitempty"`
	Limit      *int64        `json:"limit,omitempty"`
	Remaining  *int64        `json:"remaining,omitempty"`
	ResetAt    string        `json:"reset_at,omitempty"`

	retryAfter int64 // Seconds; 0: none.
}

// Who made an answer.
const (
	sourceTollgate = "tollgate"
	sourceUpstream = "upstream"
)

// problemOf describes how an exchange ended that is not the upstream's answer.
func problemOf(x *exchange) *problem {
	v := &x.verdict
	code := v.Code
	if x.code != "" {
		code = x.code
	}
	reason := decision.ReasonOf(code)
	p := &problem{
		Type: strings.TrimSuffix(x.base, "/") + "/errors/" + string(code), Title: reason.Title, Status: reason.Status,
		Code: code, Source: sourceTollgate, DecisionID: x.entry.ID,
	}
	if code == decision.QuotaExhausted && v.Outcome == decision.Block {
		p.Status = http.StatusForbidden
	}
	if code == decision.UpstreamFailed || code == decision.UpstreamTimeout {
		p.Source = sourceUpstream
	}
	if v.Policy != "" {
		p.Policy = v.Policy
	}
	if code == decision.RateLimited || code == decision.QuotaExhausted {
		p.Limit, p.Remaining = &v.LimitUnits, &v.Remaining
		if !v.ResetAt.IsZero() {
			p.ResetAt = v.ResetAt.UTC().Format(time.RFC3339Nano)
		}
	}
	switch p.Status {
	case http.StatusTooManyRequests:
		// At least the t that the RateLimit field says of the limit that stopped it.
		p.retryAfter = max(1, ceilSeconds(v.RetryAfter))
	case http.StatusServiceUnavailable:
		p.retryAfter = 1
	}
	p.Detail = x.detail(code, p)
	return p
}

// detail says in a client's words what is wrong and what to do.
func (x *exchange) detail(code decision.Code, p *problem) string {
	v := &x.verdict
	switch code {
	case decision.RateLimited:
		return "The rate limit " + v.Policy + " of this licence is used up for now. Retry after " + seconds(p.retryAfter) + "."
	case decision.QuotaExhausted:
		if p.Status == http.StatusForbidden {
			return "The quota of " + strconv.FormatInt(v.LimitUnits, 10) + " units of " + v.Policy + " does not cover this request, and no reset brings more. A larger plan does."
		}
		return "The quota of " + strconv.FormatInt(v.LimitUnits, 10) + " units of " + v.Policy + " is used up until it resets at " + v.ResetAt.UTC().Format(time.RFC3339) + "."
	case decision.BlockedByTerm:
		if v.Message != "" {
			return v.Message
		}
		return "The term " + v.Policy + " of this API does not allow this request."
	case decision.ThrottledByTerm:
		if v.Message != "" {
			return v.Message
		}
		return "The term " + v.Policy + " of this API does not allow this request for now. Retry after " + seconds(p.retryAfter) + "."
	case decision.TermError:
		return "Whether the term " + v.Policy + " of this API allows this request could not be told. Contact the provider of this API."
	case decision.FeatureNotInPlan:
		return "The plan " + v.Plan + " does not include the feature " + v.Feature + ", which this request needs."
	case decision.LicenseExpired:
		return "The licence ended at " + v.License.EndsAt.UTC().Format(time.RFC3339) + ". Renew it to go on."
	case decision.LicenseNotStarted:
		return "The licence starts at " + v.License.StartsAt.UTC().Format(time.RFC3339) + "."
	case decision.CredentialExpired:
		return "The API key expired at " + v.Credential.ExpiresAt.UTC().Format(time.RFC3339) + ". Use a newer one."
	case decision.RequestMalformed:
		if x.malformed != "" {
			return string(x.malformed)
		}
	}
	return details[code]
}

func seconds(n int64) string {
	if n == 1 {
		return "1 second"
	}
	return strconv.FormatInt(n, 10) + " seconds"
}

// details are the words for codes that say the same each time.
var details = map[decision.Code]string{
	decision.CredentialMissing:   "Send an API key as \"Authorization: Bearer tg_…\" or \"X-Api-Key: tg_…\".",
	decision.CredentialInvalid:   "The credential is not one that is known here. Check that the key is complete and of this deployment.",
	decision.CredentialRevoked:   "The API key was revoked. Use another one.",
	decision.CredentialAmbiguous: "The request carries more than one credential. Send one.",
	decision.LicenseMissing:      "The API key belongs to no licence that can be used. Contact the provider of this API.",
	decision.LicenseSuspended:    "The licence is suspended. Contact the provider of this API.",
	decision.LicenseRevoked:      "The licence was revoked. Contact the provider of this API.",
	decision.LicenseCanceled:     "The licence was canceled.",
	decision.RouteUnknown:        "Nothing is served at this host, path and method.",
	decision.RequestMalformed:    "The request cannot be read in one way only.",
	decision.RulesUnavailable:    "The rules by which requests are decided are missing or out of date. Retry shortly.",
	decision.LimitsUnavailable:   "Whether this request is within its limits cannot be told right now. Retry shortly.",
	decision.LogUnavailable:      "The request cannot be logged right now, so it was not forwarded. Retry shortly.",
	decision.Overloaded:          "Too many requests are being served at once. Retry shortly.",
	decision.UpstreamFailed:      "The service behind this route did not answer the request.",
	decision.UpstreamTimeout:     "The service behind this route did not answer in time.",
}

// answer sends a problem to the client.
func (x *exchange) answer(p *problem) {
	h := x.response.Header()
	h.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(p.retryAfter, 10))
	}
	if p.Status == http.StatusUnauthorized {
		challenge := `Bearer realm="tollgate"`
		if p.Code != decision.CredentialMissing {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
	if p.Code == decision.RequestMalformed {
		// What else is on the connection cannot be trusted to be a request.
		h.Set("Connection", "close")
	}
	if isGRPC(x.request) {
		x.answerGRPC(p)
		return
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		x.front.logger.Error("denial not encoded", "decision", x.entry.ID, "error", err)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	x.response.WriteHeader(p.Status)
	// A client that has gone is no one's error.
	_, _ = x.response.Write(body.Bytes())
}

// isGRPC: gRPC proper, which reads its status from headers; gRPC-Web and Connect read HTTP's.
func isGRPC(r *http.Request) bool {
	t := r.Header.Get("Content-Type")
	return r.ProtoMajor == 2 && (t == "application/grpc" || strings.HasPrefix(t, "application/grpc+") || strings.HasPrefix(t, "application/grpc;"))
}

// answerGRPC sends a trailers-only response: a status in headers, no message.
func (x *exchange) answerGRPC(p *problem) {
	h := x.response.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(p.Status)))
	h.Set("Grpc-Message", grpcMessage(string(p.Code)+": "+p.Detail))
	x.response.WriteHeader(http.StatusOK)
}

// grpcStatus maps an HTTP status to a gRPC one.
func grpcStatus(status int) int {
	switch status {
	case http.StatusBadRequest:
		return 3 // INVALID_ARGUMENT
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	case http.StatusNotFound:
		return 12 // UNIMPLEMENTED
	case http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	}
	return 14 // UNAVAILABLE
}

// grpcMessage percent-encodes a status message as the gRPC protocol has it.
func grpcMessage(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
