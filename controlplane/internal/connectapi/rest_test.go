package connectapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"tollgate/controlplane/internal/auth"
	"tollgate/controlplane/internal/licensing"
)

// restCall is the REST form of one procedure.
type restCall struct{ procedure, method, template string }

// path is the template with something in its variables.
func (c restCall) path() string {
	return strings.ReplaceAll(pathVariable.ReplaceAllString(c.template, "x"), "/versions/x", "/versions/1")
}

// restCalls are those of every procedure in the protos, but for streams, which REST has no form for. One without a
// rule has no method.
func restCalls(t *testing.T) (calls []restCall) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.admin.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				if m.IsStreamingClient() || m.IsStreamingServer() {
					continue
				}
				rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
				method, template := pattern(rule)
				calls = append(calls, restCall{fmt.Sprintf("/%s/%s", s.FullName(), m.Name()), method, template})
			}
		}
		return true
	})
	if len(calls) == 0 {
		t.Fatal("no calls")
	}
	return calls
}

// rest makes a call over REST, with the owner's token where header does not say otherwise. Status and details of an
// error are in the answer.
func (a *api) rest(method, path, body string, header ...string) answer {
	a.t.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	return a.restFrom(method, path, in, header...)
}

func (a *api) restFrom(method, path string, body io.Reader, header ...string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.owner)
	if body != http.NoBody {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	for name := range res.Header {
		if strings.HasPrefix(name, "Grpc-") || name == "Trailer" {
			a.t.Errorf("%s %s: the answer has %s, which is of another protocol", method, path, name)
		}
	}
	out := answer{Status: res.StatusCode, Header: res.Header, Body: string(b)}
	if res.StatusCode == http.StatusOK {
		return out
	}
	var status struct {
		Code    int
		Message string
		Details []map[string]any
	}
	if err := json.Unmarshal(b, &status); err != nil || status.Code == 0 || status.Message == "" {
		a.t.Errorf("%s %s: %d: not a status: %s", method, path, res.StatusCode, b)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		a.t.Errorf("%s %s: %d: content type %q", method, path, res.StatusCode, got)
	}
	if !strings.HasPrefix(res.Header.Get(requestIDHeader), "req_") || res.Header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%s %s: %d: headers %v", method, path, res.StatusCode, res.Header)
	}
	out.Code, out.Message = fmt.Sprint(status.Code), status.Message
	for _, d := range status.Details {
		b, err := json.Marshal(d)
		if err != nil {
			a.t.Fatal(err)
		}
		out.Details = append(out.Details, detail{Type: fmt.Sprint(d["@type"]), Value: string(b)})
	}
	return out
}

func TestREST_EveryCallHasARule(t *testing.T) {
	t.Parallel()
	for _, c := range restCalls(t) {
		if c.method == "" {
			t.Errorf("%s has no google.api.http rule", c.procedure)
		} else if !strings.HasPrefix(c.template, restPrefix) {
			t.Errorf("%s is at %s, outside of %s", c.procedure, c.template, restPrefix)
		}
	}
}

// What reads is a GET, and nothing else is: a GET may be repeated, kept and prefetched.
func TestREST_OnlyReadsAreGET(t *testing.T) {
	t.Parallel()
	permissions, err := permissionsOf(services())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range restCalls(t) {
		p := permissions[c.procedure]
		if reads := p == auth.Authenticated || strings.HasSuffix(string(p), ".read"); reads != (c.method == http.MethodGet) {
			t.Errorf("%s needs %s and is a %s", c.procedure, p, c.method)
		}
	}
}

func TestREST_NothingIsReachedWithoutTheRightToken(t *testing.T) {
	t.Parallel()
	a := setup(t)
	permissions, err := permissionsOf(services())
	if err != nil {
		t.Fatal(err)
	}
	viewer := a.token(licensing.Viewer)
	for _, c := range restCalls(t) {
		body := ""
		if c.method != http.MethodGet {
			body = "{broken" // Whoever reads it says so.
		}
		for name, header := range map[string]string{"no token": "", "a wrong token": "Bearer tga_junk"} {
			res := a.rest(c.method, c.path(), body, "Authorization", header)
			if res.Status != http.StatusUnauthorized || res.Code != "16" || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path(), name, res.Status, res.Body)
			}
		}
		res := a.rest(c.method, c.path(), body, "Authorization", "Bearer "+viewer)
		needed := permissions[c.procedure]
		switch {
		case res.Status == http.StatusUnauthorized:
			t.Errorf("%s %s by a viewer: %d %s", c.method, c.path(), res.Status, res.Body)
		case c.method != http.MethodGet && res.Status != http.StatusForbidden:
			t.Errorf("%s %s writes, and a viewer gets %d %s", c.method, c.path(), res.Status, res.Body)
		case auth.Viewer.Holds(needed) == (res.Status == http.StatusForbidden):
			t.Errorf("%s %s needs %s, and a viewer gets %d %s", c.method, c.path(), needed, res.Status, res.Body)
		case res.Status == http.StatusForbidden && (res.Code != "7" || !strings.Contains(res.Message, string(needed)) || len(res.Details) != 1):
			t.Errorf("%s %s: the refusal does not name %s: %s", c.method, c.path(), needed, res.Body)
		}
	}
}

// A GET has no body, and one that comes nevertheless is not read for a stranger.
func TestREST_BodiesOfStrangersAreNotRead(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for _, path := range []string{"/v1/customers", "/v1/customers/x"} {
		body := &endless{}
		if res := a.restFrom(http.MethodGet, path, body, "Authorization", ""); res.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, res.Status, res.Body)
		}
		if sent := body.sent.Load(); sent > maxRequest {
			t.Errorf("%s: %d bytes were taken", path, sent)
		}
	}
}

func TestREST_LargeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	a := setup(t)
	body := &endless{}
	if res := a.restFrom(http.MethodPost, "/v1/catalog:apply", body); res.Status != http.StatusTooManyRequests || res.Code != "8" {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	if sent := body.sent.Load(); sent > 4*maxRequest {
		t.Errorf("%d bytes were taken", sent)
	}
}

// fields reads a good answer over REST.
func (a *api) fields(method, path, body string) map[string]any {
	a.t.Helper()
	res := a.rest(method, path, body)
	if res.Status != http.StatusOK || !strings.HasPrefix(res.Header.Get(requestIDHeader), "req_") {
		a.t.Fatalf("%s %s: %d %s %v", method, path, res.Status, res.Body, res.Header)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(res.Body), &out); err != nil {
		a.t.Fatal(err)
	}
	return out
}

func TestREST_AResourceLivesItsLife(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.fields(http.MethodPost, "/v1/catalog:apply", fmt.Sprintf(`{"yaml": %q}`, demo))
	made := a.fields(http.MethodPost, "/v1/customers", `{"externalId": "acme", "displayName": "Acme"}`)
	id := fmt.Sprint(at(made, "customer", "id"))
	if at(made, "epoch", "number") == nil || !strings.HasPrefix(id, "cus_") {
		t.Errorf("made %v", made)
	}
	if got := a.fields(http.MethodGet, "/v1/customers/"+id, ""); at(got, "customer", "externalId") != "acme" {
		t.Errorf("got %v", got)
	}
	if got := a.fields(http.MethodGet, `/v1/customers?pageSize=1&filter=external_id+%3D+%22acme%22`, ""); len(got["customers"].([]any)) != 1 {
		t.Errorf("listed %v", got)
	}
	// What the mask does not name stays.
	changed := a.fields(http.MethodPatch, "/v1/customers/"+id+"?updateMask=displayName", `{"displayName": "Acme Ltd", "externalId": "other"}`)
	if at(changed, "customer", "displayName") != "Acme Ltd" || at(changed, "customer", "externalId") != "acme" {
		t.Errorf("changed %v", changed)
	}
	license := a.fields(http.MethodPost, "/v1/licenses", `{"customer": "`+id+`", "plan": "free"}`)
	path := "/v1/licenses/" + fmt.Sprint(at(license, "license", "id"))
	if got := a.fields(http.MethodPost, path+":suspend", "{}"); at(got, "license", "status") != "LICENSE_STATUS_SUSPENDED" {
		t.Errorf("suspended %v", got)
	}
	// A verb's body may be left out.
	if got := a.fields(http.MethodPost, path+":resume", ""); at(got, "license", "status") != "LICENSE_STATUS_ACTIVE" {
		t.Errorf("resumed %v", got)
	}
	if got := a.fields(http.MethodGet, "/v1/plans/free/versions/1", ""); at(got, "planVersion", "state") != "PLAN_VERSION_STATE_PUBLISHED" {
		t.Errorf("version %v", got)
	}
	usage := "/v1/usage?license=l&meter=requests&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&window=3600s"
	if got := a.fields(http.MethodGet, usage, ""); got["rows"] != nil {
		t.Errorf("usage %v", got)
	}
	if got := a.fields(http.MethodGet, "/v1/nodes:waitForEpoch?timeout=0s&epoch.generation=1&epoch.number=1", ""); got["enforced"] != nil {
		t.Errorf("waited %v", got)
	}
}

func TestREST_ErrorsAreAStatusThatNamesTheField(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.fields(http.MethodPost, "/v1/customers", `{"externalId": "acme"}`)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, says, detail string
	}{
		{"POST", "/v1/customers", `{"externalId": "acme"}`, http.StatusConflict, "6", "customer.external_id", "customer.external_id"},
		{"POST", "/v1/customers", ``, http.StatusBadRequest, "3", "customer", ""},
		{"POST", "/v1/customers", `{"extarnalId": "x"}`, http.StatusBadRequest, "3", "extarnalId", ""},
		{"POST", "/v1/customers", `{"externalId": 5}`, http.StatusBadRequest, "3", "externalId", ""},
		{"POST", "/v1/customers", `{`, http.StatusBadRequest, "3", "", ""},
		{"POST", "/v1/customers", `[]`, http.StatusBadRequest, "3", "", ""},
		{"POST", "/v1/customers", `{"externalId": "` + strings.Repeat("x", 300) + `"}`, http.StatusBadRequest, "3", "customer.external_id", "customer.external_id"},
		{"GET", "/v1/customers/cus_none", ``, http.StatusNotFound, "5", "cus_none", "NOT_FOUND"},
		{"GET", "/v1/customers?pageSize=-1", ``, http.StatusBadRequest, "3", "page_size", "page_size"},
		{"GET", "/v1/customers?pageSize=many", ``, http.StatusBadRequest, "3", "page_size", ""},
		{"GET", "/v1/customers?filter=%ff", ``, http.StatusBadRequest, "3", "", ""},
		{"GET", "/v1/customers?filter=%zz", ``, http.StatusBadRequest, "3", "", ""},
		{"GET", "/v1/customers?filter=a;pageSize=1", ``, http.StatusBadRequest, "3", "", ""},
		{"GET", "/v1/customers/%ff", ``, http.StatusBadRequest, "3", "", ""},
		{"GET", "/v1/nodes:waitForEpoch?timeout=", ``, http.StatusBadRequest, "3", "timeout", ""},
		{"GET", "/v1/customers?pagesize=1", ``, http.StatusBadRequest, "3", "pagesize", ""},
		{"GET", "/v1/customers?pageSize.=1", ``, http.StatusBadRequest, "3", "pageSize.", "pageSize."},
		{"GET", "/v1/customers?=1", ``, http.StatusBadRequest, "3", "no such parameter", ""},
		{"GET", "/v1/customers?pageSize=1&pageSize=2", ``, http.StatusBadRequest, "3", "page_size", "page_size"},
		{"GET", "/v1/nodes:waitForEpoch?epoch=1", ``, http.StatusBadRequest, "3", "epoch", ""},
		{"GET", "/v1/nodes:waitForEpoch?epoch.=1", ``, http.StatusBadRequest, "3", "epoch.", "epoch."},
		{"GET", "/v1/customers/x?id=y", ``, http.StatusBadRequest, "3", "id", "id"},
		{"PATCH", "/v1/customers/x?customer.id=y", `{}`, http.StatusBadRequest, "3", "customer.id", "customer.id"},
		{"PATCH", "/v1/plans/x/versions/1?planVersion.version=2", `{}`, http.StatusBadRequest, "3", "plan_version.version", "plan_version.version"},
		{"PATCH", "/v1/customers/x?customer=y", `{}`, http.StatusBadRequest, "3", "customer", "customer"},
		{"PATCH", "/v1/customers/x?updateMask=nonsense", `{}`, http.StatusBadRequest, "3", "nonsense", "update_mask"},
		{"POST", "/v1/licenses/x:suspend?id=y", `{}`, http.StatusBadRequest, "3", "id", "id"},
		{"POST", "/v1/licenses/x:explode", `{}`, http.StatusNotFound, "5", "", ""},
		{"GET", "/v1/nothing", ``, http.StatusNotFound, "5", "", ""},
		{"GET", "/v1/", ``, http.StatusNotFound, "5", "", ""},
		{"DELETE", "/v1/customers", ``, http.StatusMethodNotAllowed, "12", "", ""},
	} {
		res := a.rest(tt.method, tt.path, tt.body)
		if res.Status != tt.status || res.Code != tt.code || !strings.Contains(res.Message, tt.says) {
			t.Errorf("%s %s %.60s: %d %s", tt.method, tt.path, tt.body, res.Status, res.Body)
		}
		if tt.detail != "" && !slices.ContainsFunc(res.Details, func(d detail) bool { return strings.Contains(d.Value, `"`+tt.detail+`"`) }) {
			t.Errorf("%s %s %.60s: no detail has %s: %s", tt.method, tt.path, tt.body, tt.detail, res.Body)
		}
		if strings.Contains(res.Message, "\u00a0") {
			t.Errorf("%s %s: the message has a space of a random kind: %q", tt.method, tt.path, res.Message)
		}
	}
	for name, header := range map[string][]string{
		"a form": {"Content-Type", "application/x-www-form-urlencoded"}, "compressed": {"Content-Encoding", "gzip"},
	} {
		if res := a.rest(http.MethodPost, "/v1/customers", `{"externalId": "x"}`, header...); res.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
	}
	if got := a.fields(http.MethodGet, "/v1/customers", ""); len(got["customers"].([]any)) != 1 {
		t.Errorf("something was stored: %v", got)
	}
}

func TestREST_AnotherSiteCannotCallFromABrowser(t *testing.T) {
	t.Parallel()
	a := setup(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/v1/customers", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("%d", res.StatusCode)
	}
}
