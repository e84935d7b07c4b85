package connectapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
)

// usageSetup is an API with a licence, and the meters requests (count), tokens (sum) and peak (max).
func usageSetup(t *testing.T) (a *api, license string) {
	t.Helper()
	a = setup(t)
	return a, a.metered()
}

// metered makes them.
func (a *api) metered() (license string) {
	a.t.Helper()
	a.apply(demo)
	for key, aggregation := range map[string]string{"tokens": "SUM", "peak": "MAX"} {
		a.object("CatalogService/CreateMeter", fmt.Sprintf(`{"meter": {"key": %q, "aggregation": "AGGREGATION_%s"}}`, key, aggregation))
	}
	customer := at(a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "metered"}}`), "customer", "id")
	issued := a.object("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free", "startsAt": "2026-01-01T00:00:00Z"}}`, customer))
	return fmt.Sprint(at(issued, "license", "id"))
}

// ago is a time in JSON.
func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

func (a *api) used(license, meter string) string {
	a.t.Helper()
	total := at(a.object("UsageService/QueryUsage", fmt.Sprintf(
		`{"license": %q, "meter": %q, "from": "2026-01-01T00:00:00Z", "to": %q}`, license, meter, ago(-time.Hour))), "total")
	if total == nil {
		return "0"
	}
	return fmt.Sprint(total)
}

// told are outcome, code and field of each answer to events.
func told(t *testing.T, res map[string]any) (all []string) {
	t.Helper()
	results, ok := res["results"].([]any)
	if !ok {
		t.Fatalf("no results: %v", res)
	}
	for _, r := range results {
		words := []string{strings.TrimPrefix(fmt.Sprint(at(r, "outcome")), "INGEST_OUTCOME_")}
		for _, name := range []string{"code", "field"} {
			if v := at(r, name); v != nil {
				words = append(words, fmt.Sprint(v))
			}
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

func TestIngestEvents_AnswersEachInOrder(t *testing.T) {
	t.Parallel()
	a, license := usageSetup(t)
	event := func(id, rest string) string {
		return fmt.Sprintf(`{"id": %q, "source": "s", "subject": %q, "time": %q, %s}`, id, license, ago(time.Minute), rest)
	}
	body := `{"events": [` + strings.Join([]string{
		event("1", `"type": "requests"`),
		event("2", `"type": "tokens", "data": {"units": 5, "model": "x"}`),
		event("3", `"type": "tokens", "data": {"units": "1000"}`),
		event("4", `"type": "tokens", "data": {"units": 1.5}`),
		event("5", `"type": "tokens", "data": {"units": true}`),
		event("6", `"type": "tokens", "data": {"units": ""}`),
		event("7", `"type": "tokens", "data": {"units": null}`),
		event("8", `"type": "peak", "data": {"value": 3}`),
		event("2", `"type": "tokens", "data": {"units": 6}`),
	}, ",") + `]}`
	want := []string{
		"ACCEPTED", "ACCEPTED", "ACCEPTED", "REJECTED invalid_argument events[3].data.units", "REJECTED invalid_argument events[4].data.units",
		"REJECTED invalid_argument events[5].data.units", "REJECTED invalid_argument events[6].data.units",
		"REJECTED failed_precondition events[7].type", "REJECTED already_exists events[8].id",
	}
	for round := range 2 {
		res := a.object("UsageService/IngestEvents", body)
		if got := told(t, res); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("round %d: %q, want %q", round, got, want)
		}
		if at(res, "epoch", "number") == nil || fmt.Sprint(res["rejected"]) != "6" {
			t.Errorf("round %d: %v", round, res)
		}
		want[0], want[1], want[2] = "DUPLICATE", "DUPLICATE", "DUPLICATE"
	}
	if got := a.used(license, "tokens") + " " + a.used(license, "requests"); got != "1005 1" {
		t.Errorf("used %s", got)
	}
}

func TestIngestEvents_RefusesWhatIsNoBatch(t *testing.T) {
	t.Parallel()
	a, license := usageSetup(t)
	one := fmt.Sprintf(`{"id": "%%d", "source": "s", "type": "requests", "subject": %q, "time": %q}`, license, ago(0))
	var many []string
	for i := range licensing.MaxEvents + 1 {
		many = append(many, fmt.Sprintf(one, i))
	}
	for _, body := range []string{
		`{}`, `{"events": []}`, `{"events": [` + strings.Join(many, ",") + `]}`, `{"events": [{"time": "yesterday"}]}`, `{"events": [{"id": 5}]}`,
		`{"events": [{"extension": "x"}]}`, `{"events": [{"data": 5}]}`,
	} {
		if res := a.post("UsageService/IngestEvents", body); res.Status != http.StatusBadRequest || res.Code != "invalid_argument" {
			t.Errorf("%.80s: %d %.200s", body, res.Status, res.Body)
		}
	}
	if got := a.used(license, "requests"); got != "0" {
		t.Errorf("used %s", got)
	}
	for role, status := range map[licensing.Role]int{
		licensing.Viewer: http.StatusForbidden, licensing.Support: http.StatusForbidden, licensing.BillingRole: http.StatusOK, licensing.Editor: http.StatusOK,
	} {
		res := a.post("UsageService/IngestEvents", `{"events": [`+fmt.Sprintf(one, 1)+`]}`, "Authorization", "Bearer "+a.token(role))
		if res.Status != status {
			t.Errorf("%s: %d %s", role, res.Status, res.Body)
		}
	}
}

// CloudEvents come as their senders send them: with extensions, data of any form, and in two media types.
func TestIngestEvents_TakesCloudEventsOverHTTP(t *testing.T) {
	t.Parallel()
	a, license := usageSetup(t)
	event := func(id, rest string) string {
		return fmt.Sprintf(`{"specversion": "1.0", "id": %q, "source": "//llm", "subject": %q, "time": %q, "datacontenttype": "application/json", "traceparent": "00-1", %s}`,
			id, license, ago(time.Minute), rest)
	}
	send := func(media, body string) answer {
		return a.rest(http.MethodPost, "/v1/usage/events", body, "Content-Type", media)
	}
	one := event("1", `"type": "tokens", "data": {"units": 7, "model": {"name": "x"}}`)
	batch := "[" + strings.Join([]string{
		one, event("2", `"type": "requests", "data": "text"`), event("3", `"type": "requests", "data_base64": "AA=="`),
		event("4", `"type": "tokens", "data": [1]`), strings.Replace(event("5", `"type": "requests"`), "1.0", "0.3", 1),
	}, ",") + "]"
	for _, c := range []struct{ media, body, want string }{
		{"application/cloudevents+json", one, "ACCEPTED"},
		{"application/cloudevents+json; charset=utf-8", one, "DUPLICATE"},
		{"application/cloudevents-batch+json", batch, "DUPLICATE,ACCEPTED,ACCEPTED,REJECTED invalid_argument events[3].data.units,REJECTED invalid_argument events[4].specversion"},
		{"application/json", `{"events": [{"id": "6", "source": "s", "type": "requests", "subject": "` + license + `", "time": "` + ago(0) + `"}]}`, "ACCEPTED"},
	} {
		res := send(c.media, c.body)
		if res.Status != http.StatusOK {
			t.Errorf("%s: %d %s", c.media, res.Status, res.Body)
			continue
		}
		if got := strings.Join(told(t, read(t, res.Body)), ","); got != c.want {
			t.Errorf("%s: %s, want %s", c.media, got, c.want)
		}
	}
	for _, c := range [][2]string{
		{"application/cloudevents+json", batch}, {"application/cloudevents-batch+json", one}, {"application/cloudevents-batch+json", "[]"},
		{"application/cloudevents+json", `{"id": `}, {"application/cloudevents+json", ``}, {"application/cloudevents-batch+json", `null`},
		{"application/cloudevents-batch+json", `[null]`}, {"application/cloudevents-batch+json", `[], "validateOnly": true`},
		{"application/cloudevents+json", strings.Replace(one, `"id": "1"`, `"id": 1`, 1)},
		{"application/cloudevents+json", strings.Replace(one, `"time": "`, `"time": "x`, 1)},
	} {
		if res := send(c[0], c[1]); res.Status != http.StatusBadRequest || res.Code != "3" {
			t.Errorf("%s %.60s: %d %s", c[0], c[1], res.Status, res.Body)
		}
	}
	if res := send("application/cloudevents+xml", one); res.Status != http.StatusUnsupportedMediaType {
		t.Errorf("XML: %d %s", res.Status, res.Body)
	}
	if got := a.used(license, "tokens") + " " + a.used(license, "requests"); got != "7 3" {
		t.Errorf("used %s", got)
	}
}

// Nobody unknown gets a body read, and nobody one without an end.
func TestIngestEvents_LargeAndUnknownBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for token, status := range map[string]int{a.owner: http.StatusTooManyRequests, "tga_nobody": http.StatusUnauthorized} {
		body := &endless{}
		res := a.restFrom(http.MethodPost, "/v1/usage/events", body, "Content-Type", "application/cloudevents+json", "Authorization", "Bearer "+token)
		if res.Status != status {
			t.Errorf("%d %s, want %d", res.Status, res.Body, status)
		}
		if sent := body.sent.Load(); sent > 4*maxRequest {
			t.Errorf("%d bytes were taken", sent)
		}
	}
}

func TestCorrectUsage_AnswersWhatIsCountedThen(t *testing.T) {
	t.Parallel()
	a, license := usageSetup(t)
	when := ago(time.Hour)
	correct := func(units, reason string) answer {
		return a.post("UsageService/CorrectUsage", fmt.Sprintf(
			`{"license": %q, "meter": "tokens", "units": %q, "time": %q, "reason": %q, "requestId": %q}`, license, units, when, reason, units))
	}
	for _, c := range [][2]string{{"9", `"9"`}, {"-4", `"5"`}, {"9", `"9"`}} { // The last is the first again: it has its answer.
		res := correct(c[0], "measured wrongly")
		if got := fmt.Sprint(read(t, res.Body)["total"]); `"`+got+`"` != c[1] {
			t.Errorf("%s: total %s, want %s", c[0], got, c[1])
		}
	}
	if got := a.used(license, "tokens"); got != "5" {
		t.Errorf("used %s", got)
	}
	for _, c := range [][3]string{{"-6", "r", "failed_precondition units"}, {"1", "", "invalid_argument reason"}, {"0", "r", "invalid_argument units"}} {
		res := correct(c[0], c[1])
		code, field, _ := strings.Cut(c[2], " ")
		if res.Code != code || !strings.HasPrefix(res.Message, field+":") {
			t.Errorf("%v: %s", c, res.Body)
		}
	}
	listed := a.rest(http.MethodGet, "/v1/usage/corrections?filter=license%3D%22"+license+"%22&pageSize=1", "")
	if res := read(t, listed.Body); len(res["corrections"].([]any)) != 1 || res["nextPageToken"] == nil || at(res["corrections"].([]any)[0], "units") != "9" {
		t.Errorf("%s", listed.Body)
	}
	if events := a.post("AuditService/ListAuditEvents", `{"filter": "kind = \"usage_correction\""}`).Body; strings.Count(events, "measured wrongly") != 2 {
		t.Errorf("%s", events)
	}
}

// read is a body's fields.
func read(t *testing.T, body string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return out
}
