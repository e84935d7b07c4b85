package connectapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/internal/audit"
)

func TestCall_EveryWriteTakesRequestIDAndValidateOnly(t *testing.T) {
	writes := 0
	for _, s := range services() {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			if o, ok := m.Options().(*descriptorpb.MethodOptions); ok && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
				continue
			}
			writes++
			fields := m.Input().Fields()
			if fields.ByName(requestIDField) == nil {
				t.Errorf("%s takes no request_id", m.FullName())
			}
			if fields.ByName(validateOnlyField) == nil && fields.ByName("dry_run") == nil {
				t.Errorf("%s takes no validate_only", m.FullName())
			}
			if strings.HasPrefix(string(m.Name()), "Archive") && fields.ByName(etagField) == nil {
				t.Errorf("%s takes no etag", m.FullName())
			}
		}
	}
	if writes == 0 {
		t.Error("there are no writes")
	}
}

// Every write there is: tried alone it stores nothing, of a stale state it is refused, and made twice under one id it has one effect and
// one answer.
func TestCall_EveryWriteIsTriedRefusedAndMadeOnce(t *testing.T) {
	a := setup(t)
	log := audit.NewService(a.db.Audit())
	state := func() string {
		_, _, head, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		epoch, err := a.licensing.Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(head.Sequence, epoch)
	}
	n := 0
	a.silentNode("gone")
	eachWrite(func(call, body string) map[string]any {
		n++
		if clientStreams(services())["/tollgate.admin.v1."+call] {
			return a.streamed(call, body) // Each batch of it is a write of its own.
		}
		input := inputOf(t, call)
		before := state()
		if f := input.Fields().ByName(validateOnlyField); f != nil {
			a.object(call, with(body, `"validateOnly": true`))
		}
		for _, stale := range staleBodies(input, body) {
			if res := a.post(call, stale); res.Code != "aborted" {
				t.Errorf("%s %s: %d %s, want aborted", call, stale, res.Status, res.Body)
			}
		}
		if after := state(); after != before {
			t.Errorf("%s: checked and refused, and yet %s became %s", call, before, after)
		}
		once := with(body, fmt.Sprintf(`"requestId": "r%d"`, n))
		first := a.post(call, once)
		made := state()
		if again := a.post(call, once); first.Status != http.StatusOK || again.Body != first.Body {
			t.Errorf("%s twice:\n%d %s\n%d %s", call, first.Status, first.Body, again.Status, again.Body)
		}
		if after := state(); after != made || made == before {
			t.Errorf("%s twice: %s, %s, %s", call, before, made, after)
		}
		var res map[string]any
		if err := json.Unmarshal([]byte(first.Body), &res); err != nil {
			t.Fatal(err)
		}
		return res
	})
}

// with adds a field to a JSON object.
func with(body, field string) string { return strings.TrimSuffix(body, "}") + ", " + field + "}" }

func inputOf(t *testing.T, call string) protoreflect.MessageDescriptor {
	t.Helper()
	service, method, _ := strings.Cut(call, "/")
	for _, s := range services() {
		if string(s.Name()) == service {
			return s.Methods().ByName(protoreflect.Name(method)).Input()
		}
	}
	t.Fatalf("there is no %s", call)
	return nil
}

// staleBodies are the request with an etag that the object does not have: beside what names it, or within the object itself.
func staleBodies(input protoreflect.MessageDescriptor, body string) []string {
	var all []string
	if input.Fields().ByName(etagField) != nil {
		all = append(all, with(body, `"etag": "stale"`))
	}
	if !strings.HasPrefix(string(input.Name()), "Update") {
		return all // What is made has no state yet.
	}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		if f.Message() != nil && f.Message().Fields().ByName(etagField) != nil {
			open := fmt.Sprintf("%q: {", f.JSONName())
			all = append(all, strings.Replace(body, open, open+`"etag": "stale", `, 1))
		}
	}
	return all
}

func TestCall_IsReadFromTheRequest(t *testing.T) {
	a := setup(t)
	body := `{"customer": {"externalId": "acme"}, "requestId": "r1"}`
	first, again := a.object("CustomerService/CreateCustomer", body), a.object("CustomerService/CreateCustomer", body)
	if id := at(first, "customer", "id"); id == nil || id != at(again, "customer", "id") {
		t.Errorf("the answers are %v and %v", first, again)
	}
	other := a.post("CustomerService/CreateCustomer", `{"customer": {"externalId": "other"}, "requestId": "r1"}`)
	if other.Code != "invalid_argument" || !strings.HasPrefix(other.Message, "request_id") {
		t.Errorf("another call under the same id: %s", other.Body)
	}
	a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "checked"}, "validateOnly": true}`)
	a.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "checked"}}`)
	stale := a.post("CustomerService/ArchiveCustomer", `{"id": "`+at(first, "customer", "id").(string)+`", "etag": "stale"}`)
	if stale.Code != "aborted" {
		t.Errorf("a stale etag: %s", stale.Body)
	}
	page := a.object("AuditService/ListAuditEvents", `{"filter": "kind = \"customer\"", "pageSize": 1}`)
	if at(page, "nextPageToken") == nil && at(page, "next_page_token") == nil {
		t.Errorf("no second page: %v", page)
	}
	if res := a.object("AuditService/VerifyAudit", `{}`); at(res, "problem") != nil && at(res, "problem") != "" {
		t.Errorf("verify found %v", res)
	}
}
