package connectapi

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
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
