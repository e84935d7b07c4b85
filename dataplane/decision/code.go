package decision

// Outcome is what happens to a request.
type Outcome string

// The outcomes.
const (
	Forward  Outcome = "forward"
	Throttle Outcome = "throttle"
	Block    Outcome = "block"
)

// Code is the reason of a decision, stable for clients.
type Code string

// The codes. See Reasons for their outcome and status.
const (
	OK                  Code = "ok"
	OKOverage           Code = "ok_overage"
	OKGrace             Code = "ok_grace"
	RateLimited         Code = "rate_limited"
	QuotaExhausted      Code = "quota_exhausted"
	CredentialMissing   Code = "credential_missing"
	CredentialInvalid   Code = "credential_invalid"
	CredentialRevoked   Code = "credential_revoked"
	CredentialExpired   Code = "credential_expired"
	CredentialAmbiguous Code = "credential_ambiguous"
	LicenseMissing      Code = "license_missing"
	LicenseExpired      Code = "license_expired"
	LicenseSuspended    Code = "license_suspended"
	LicenseRevoked      Code = "license_revoked"
	LicenseCanceled     Code = "license_canceled"
	LicenseNotStarted   Code = "license_not_started"
	PaymentRequired     Code = "payment_required"
	FeatureNotInPlan    Code = "feature_not_in_plan"
	BlockedByTerm       Code = "blocked_by_term"
	ThrottledByTerm     Code = "throttled_by_term"
	TermError           Code = "term_error"
	RouteUnknown        Code = "route_unknown"
	RequestMalformed    Code = "request_malformed"
	RulesUnavailable    Code = "rules_unavailable"
	LimitsUnavailable   Code = "limits_unavailable"
	LogUnavailable      Code = "log_unavailable"
	Overloaded          Code = "overloaded"
	UpstreamFailed      Code = "upstream_failed"
	UpstreamTimeout     Code = "upstream_timeout"
)

// Step is a place in the order in which a request is decided.
type Step string

// The steps, in their order.
const (
	StepRead     Step = "read"
	StepRoute    Step = "route"
	StepIdentify Step = "identify"
	StepLicense  Step = "license"
	StepFeatures Step = "features"
	StepTerms    Step = "terms"
	StepRates    Step = "rates"
	StepQuotas   Step = "quotas"
	StepForward  Step = "forward"
)

// Steps is the order in which a request is decided.
func Steps() []Step {
	return []Step{StepRead, StepRoute, StepIdentify, StepLicense, StepFeatures, StepTerms, StepRates, StepQuotas, StepForward}
}

// Reason is a row of the table of reasons.
type Reason struct {
	Code    Code
	Outcome Outcome
	// Status is the HTTP status answered; 0 where it is the upstream's.
	Status int
	// Step is where the code arises.
	Step Step
	// Title is the problem's short name for people (RFC 9457).
	Title string
}

// Reasons is the table of reasons that are in use. Wait is 429, not allowed 403, who are you 401,
// cannot say 503.
func Reasons() []Reason {
	return []Reason{
		{OK, Forward, 0, StepForward, "Forwarded"},
		{OKOverage, Forward, 0, StepForward, "Forwarded beyond a soft quota"},
		{OKGrace, Forward, 0, StepForward, "Forwarded, a payment is missing"},
		{RateLimited, Throttle, 429, StepRates, "Too many requests"},
		{QuotaExhausted, Throttle, 429, StepQuotas, "Quota exhausted"},
		{CredentialMissing, Block, 401, StepIdentify, "Credential missing"},
		{CredentialInvalid, Block, 401, StepIdentify, "Credential invalid"},
		{CredentialRevoked, Block, 401, StepIdentify, "Credential revoked"},
		{CredentialExpired, Block, 401, StepIdentify, "Credential expired"},
		{CredentialAmbiguous, Block, 401, StepIdentify, "More than one credential"},
		{LicenseMissing, Block, 403, StepLicense, "No licence"},
		{LicenseExpired, Block, 403, StepLicense, "Licence expired"},
		{LicenseSuspended, Block, 403, StepLicense, "Licence suspended"},
		{LicenseRevoked, Block, 403, StepLicense, "Licence revoked"},
		{LicenseCanceled, Block, 403, StepLicense, "Licence canceled"},
		{LicenseNotStarted, Block, 403, StepLicense, "Licence not started"},
		{PaymentRequired, Block, 403, StepLicense, "Payment required"},
		{FeatureNotInPlan, Block, 403, StepFeatures, "Feature not in plan"},
		{BlockedByTerm, Block, 403, StepTerms, "Blocked by a term"},
		{TermError, Block, 403, StepTerms, "A term could not be evaluated"},
		{ThrottledByTerm, Throttle, 429, StepTerms, "Throttled by a term"},
		{RouteUnknown, Block, 404, StepRoute, "No such route"},
		{RequestMalformed, Block, 400, StepRead, "Malformed request"},
		{RulesUnavailable, Block, 503, StepRead, "Rules unavailable"},
		{LimitsUnavailable, Block, 503, StepRates, "Limits unavailable"},
		{LogUnavailable, Block, 503, StepForward, "Log unavailable"},
		{Overloaded, Block, 503, StepRead, "Overloaded"},
		{UpstreamFailed, Forward, 502, StepForward, "Upstream failed"},
		{UpstreamTimeout, Forward, 504, StepForward, "Upstream timed out"},
	}
}

var reasonByCode = func() map[Code]Reason {
	m := map[Code]Reason{}
	for _, r := range Reasons() {
		m[r.Code] = r
	}
	return m
}()

// ReasonOf is the row of a code. An unknown code has the zero Reason.
func ReasonOf(c Code) Reason { return reasonByCode[c] }
