package connectapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
)

// moved are customers, licences and keys as someone has them who moves in: acme with licence lic (external id sub-1), its key k1, and a licence
// that is revoked.
type moved struct {
	*api
	customer, license, revoked, key, foreign string
}

func moving(t *testing.T) moved {
	t.Helper()
	m := moved{api: setup(t)}
	m.apply(demo)
	id := func(v map[string]any, object string) string {
		s, _ := at(v, object, "id").(string)
		return s
	}
	m.customer = id(m.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "acme"}}`), "customer")
	gone := id(m.object("CustomerService/CreateCustomer", `{"customer": {"externalId": "gone"}}`), "customer")
	m.object("CustomerService/ArchiveCustomer", fmt.Sprintf(`{"id": %q}`, gone))
	issue := func(external string) string {
		return id(m.object("LicenseService/IssueLicense", fmt.Sprintf(
			`{"license": {"customer": %q, "plan": "free", "externalId": %q, "startsAt": "2026-01-01T00:00:00Z"}}`, m.customer, external)), "license")
	}
	m.license, m.revoked = issue("sub-1"), issue("sub-2")
	m.object("LicenseService/RevokeLicense", fmt.Sprintf(`{"id": %q}`, m.revoked))
	other := issue("sub-3")
	imported := func(license, key string) string {
		res := m.object("CredentialService/ImportApiKeys", fmt.Sprintf(`{"apiKeys": [{"license": %q, "sha256": %q}]}`, license, hashOf(key)))
		results, _ := res["results"].([]any)
		s, _ := at(results[0], "apiKey").(string)
		return s
	}
	m.key, m.foreign = imported(m.license, "k1-of-acme"), imported(other, "k3-of-another")
	m.object("CatalogService/CreatePlan", `{"plan": {"key": "draft"}}`)
	m.object("CatalogService/CreatePlan", `{"plan": {"key": "old"}}`)
	m.object("CatalogService/ArchivePlan", `{"key": "old"}`)
	return m
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// stored is all that an import could change.
func (m moved) stored() string {
	m.t.Helper()
	var all strings.Builder
	for _, call := range []string{"CustomerService/ListCustomers", "LicenseService/ListLicenses", "CredentialService/ListApiKeys"} {
		all.WriteString(compact(m.post(call, `{}`).Body))
	}
	epoch, err := m.licensing.Epoch(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return fmt.Sprint(all.String(), epoch)
}

// faulty are the fields that a JSON error names, in order.
func faulty(t *testing.T, res answer) (fields []string) {
	t.Helper()
	for _, d := range res.Details {
		if d.Type != "google.rpc.BadRequest" {
			continue
		}
		b, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil {
			t.Fatal(err)
		}
		var bad errdetails.BadRequest
		if err := proto.Unmarshal(b, &bad); err != nil {
			t.Fatal(err)
		}
		for _, f := range bad.GetFieldViolations() {
			fields = append(fields, f.GetField())
		}
	}
	return fields
}

func TestKeys_BadInputIsRefusedAndStoresNothing(t *testing.T) {
	t.Parallel()
	m := moving(t)
	const imp, rotate, update = "CredentialService/ImportApiKeys", "CredentialService/RotateApiKey", "CredentialService/UpdateApiKey"
	const bad, state = "invalid_argument", "failed_precondition"
	good := hashOf("a good key")
	one := func(fields string) string { return fmt.Sprintf(`{"apiKeys": [{%s}]}`, fields) }
	// The second of two, after one that is good.
	second := func(fields string) string {
		return fmt.Sprintf(`{"apiKeys": [{"license": %q, "sha256": %q}, {"license": %q, %s}]}`, m.license, good, m.license, fields)
	}
	sum := func(of string) string { return fmt.Sprintf(`"sha256": %q`, of) }
	many := strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"license": %q, "sha256": %q},`, m.license, good), 1001), ",")
	revoked := at(m.object("CredentialService/CreateApiKey", fmt.Sprintf(`{"license": %q}`, m.license)), "apiKey", "id")
	m.object("CredentialService/RevokeApiKey", fmt.Sprintf(`{"id": %q}`, revoked))
	token := at(m.object("AccessService/CreateToken", `{"token": {"role": "ROLE_VIEWER"}}`), "token", "id")
	rows := []struct{ name, call, body, code, field string }{
		{"no keys", imp, `{}`, bad, "api_keys"},
		{"1,001 keys", imp, `{"apiKeys": [` + many + `]}`, bad, "api_keys"},
		{"unknown field", imp, one(`"hash": "x"`), bad, ""},
		{"no license", imp, one(sum(good)), bad, "api_keys[0].license"},
		{"license twice", imp, one(fmt.Sprintf(`"license": %q, "licenseExternalId": "sub-1", %s`, m.license, sum(good))), bad, "api_keys[0].license_external_id"},
		{"unknown license", imp, one(`"license": "lic_none", ` + sum(good)), "not_found", "api_keys[0].license"},
		{"license with a NUL", imp, one(`"license": "lic\u0000", ` + sum(good)), bad, "api_keys[0].license"},
		{"external id with a NUL", imp, one(`"licenseExternalId": "sub\u0000", ` + sum(good)), bad, "api_keys[0].license_external_id"},
		{"unknown external id", imp, one(`"licenseExternalId": "sub-9", ` + sum(good)), "not_found", "api_keys[0].license_external_id"},
		{"revoked license", imp, one(fmt.Sprintf(`"license": %q, %s`, m.revoked, sum(good))), state, "api_keys[0].license"},
		{"no hash", imp, second(`"displayName": "x"`), bad, "api_keys[1].sha256"},
		{"short hash", imp, second(sum(good[:62])), bad, "api_keys[1].sha256"},
		{"long hash", imp, second(sum(good + "00")), bad, "api_keys[1].sha256"},
		{"hash that is no hex", imp, second(sum("z" + good[1:])), bad, "api_keys[1].sha256"},
		{"hash in base64", imp, second(sum("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")), bad, "api_keys[1].sha256"},
		{"hash with a space", imp, second(sum(" " + good[1:])), bad, "api_keys[1].sha256"},
		{"hash of nothing", imp, second(sum(hashOf(""))), bad, "api_keys[1].sha256"},
		{"hash twice", imp, second(sum(strings.ToUpper(good))), bad, "api_keys[1].sha256"},
		{"hash of another's key", imp, second(sum(hashOf("k3-of-another"))), "already_exists", "api_keys[1].sha256"},
		{"long name", imp, second(fmt.Sprintf(`"displayName": %q, %s`, strings.Repeat("x", 201), sum(hashOf("b")))), bad, "api_keys[1].display_name"},
		{"name with a newline", imp, second(`"displayName": "a\nb", ` + sum(hashOf("b"))), bad, "api_keys[1].display_name"},
		{"long prefix", imp, second(`"prefix": "0123456789abc", ` + sum(hashOf("b"))), bad, "api_keys[1].prefix"},
		{"prefix with a NUL", imp, second(`"prefix": "a\u0000", ` + sum(hashOf("b"))), bad, "api_keys[1].prefix"},
		{"expired already", imp, second(`"expiresAt": "2020-01-01T00:00:00Z", ` + sum(hashOf("b"))), bad, "api_keys[1].expires_at"},
		{"no time", imp, second(`"expiresAt": "tomorrow", ` + sum(hashOf("b"))), bad, ""},
		{"before 1970", imp, second(`"expiresAt": "1969-01-01T00:00:00Z", ` + sum(hashOf("b"))), bad, "api_keys[1].expires_at"},
		{"long request id", imp, fmt.Sprintf(`{"requestId": %q, "apiKeys": [{"license": %q, "sha256": %q}]}`, strings.Repeat("r", 129), m.license, good), bad, "request_id"},

		{"rotate nothing", rotate, `{}`, bad, "id"},
		{"rotate what is not there", rotate, `{"id": "key_none"}`, "not_found", ""},
		{"rotate a revoked one", rotate, fmt.Sprintf(`{"id": %q}`, revoked), state, ""},
		{"negative overlap", rotate, fmt.Sprintf(`{"id": %q, "overlap": "-1s"}`, m.key), bad, "overlap"},
		{"31 days of overlap", rotate, fmt.Sprintf(`{"id": %q, "overlap": "2678400s"}`, m.key), bad, "overlap"},
		{"overlap that is none", rotate, fmt.Sprintf(`{"id": %q, "overlap": "1 day"}`, m.key), bad, ""},
		{"new key expired already", rotate, fmt.Sprintf(`{"id": %q, "expiresAt": "2020-01-01T00:00:00Z"}`, m.key), bad, "expires_at"},
		{"rotate by a stale etag", rotate, fmt.Sprintf(`{"id": %q, "etag": "9"}`, m.key), "aborted", "etag"},
		{"revoke by a stale etag", "CredentialService/RevokeApiKey", fmt.Sprintf(`{"id": %q, "etag": "9"}`, m.key), "aborted", "etag"},

		{"revoke a token by a stale etag", "AccessService/RevokeToken", fmt.Sprintf(`{"id": %q, "etag": "9"}`, token), "aborted", "etag"},

		{"update nothing", update, `{}`, bad, "api_key"},
		{"update what is not there", update, `{"apiKey": {"id": "key_none", "displayName": "x"}}`, "not_found", ""},
		{"unknown mask path", update, fmt.Sprintf(`{"apiKey": {"id": %q}, "updateMask": "license"}`, m.key), bad, "update_mask"},
		{"update by a stale etag", update, fmt.Sprintf(`{"apiKey": {"id": %q, "displayName": "x", "etag": "9"}, "updateMask": "displayName"}`, m.key), "aborted", "api_key.etag"},
		{"update to the past", update, fmt.Sprintf(`{"apiKey": {"id": %q, "expiresAt": "2020-01-01T00:00:00Z"}, "updateMask": "expiresAt"}`, m.key), bad, "api_key.expires_at"},
		{"bring a revoked one back", update, fmt.Sprintf(`{"apiKey": {"id": %q, "expiresAt": "2099-01-01T00:00:00Z"}, "updateMask": "expiresAt"}`, revoked), state, "api_key.expires_at"},
		{"get nothing", "CredentialService/GetApiKey", `{}`, bad, "id"},
		{"get what is not there", "CredentialService/GetApiKey", `{"id": "key_none"}`, "not_found", ""},
	}
	before := m.stored()
	for _, r := range rows {
		res := m.post(r.call, r.body)
		fields := faulty(t, res)
		if res.Code != r.code || r.field != "" && (len(fields) == 0 || fields[0] != r.field) {
			t.Errorf("%s: want %s at %s, got %d %s %q: %s", r.name, r.code, r.field, res.Status, res.Code, fields, res.Message)
		}
	}
	if after := m.stored(); after != before {
		t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

// An import that is refused says all that is wrong, by row, and no more than a hundred things.
func TestImportKeys_TellsEveryBadRow(t *testing.T) {
	t.Parallel()
	m := moving(t)
	res := m.post("CredentialService/ImportApiKeys", fmt.Sprintf(
		`{"apiKeys": [{"license": "lic_none", "sha256": %q}, {"license": %q, "sha256": "x"}, {"license": %q, "sha256": %q}, {"license": %q, "sha256": %q}]}`,
		hashOf("a"), m.license, m.license, hashOf("b"), m.license, hashOf("k3-of-another")))
	if got := fmt.Sprint(faulty(t, res)); got != "[api_keys[0].license api_keys[1].sha256 api_keys[3].sha256]" || res.Code != "not_found" {
		t.Errorf("%s %s", res.Code, got)
	}
	many := strings.TrimSuffix(strings.Repeat(`{"license": "lic_none", "sha256": "x"},`, 300), ",")
	if fields := faulty(t, m.post("CredentialService/ImportApiKeys", `{"apiKeys": [`+many+`]}`)); len(fields) != 100 || fields[99] != "api_keys[99].sha256" {
		t.Errorf("%d: %q", len(fields), fields)
	}
}

func TestImportKeys_AgainIsNoErrorAndChangesNothing(t *testing.T) {
	t.Parallel()
	m := moving(t)
	body := fmt.Sprintf(`{"apiKeys": [{"license": %q, "sha256": %q, "expiresAt": "2099-01-01T00:00:00Z"}, {"licenseExternalId": "sub-1", "sha256": %q, "displayName": "n", "prefix": "sk_new_"}]}`,
		m.license, strings.ToUpper(hashOf("k1-of-acme")), hashOf("a new one"))
	first := m.object("CredentialService/ImportApiKeys", body)
	results, _ := first["results"].([]any)
	if first["imported"] != 1.0 || at(results[0], "apiKey") != m.key || at(results[0], "existed") != true || at(results[1], "existed") != nil {
		t.Fatalf("%v", first)
	}
	got := m.object("CredentialService/GetApiKey", fmt.Sprintf(`{"id": %q}`, at(results[1], "apiKey")))
	if at(got, "apiKey", "license") != m.license || at(got, "apiKey", "prefix") != "sk_new_" || at(got, "apiKey", "imported") != true || at(got, "apiKey", "etag") != "1" {
		t.Errorf("%v", got)
	}
	before := m.stored()
	again := m.object("CredentialService/ImportApiKeys", body)
	if again["imported"] != nil || fmt.Sprint(again["epoch"]) != fmt.Sprint(first["epoch"]) || m.stored() != before {
		t.Errorf("again: %v, first %v", again, first)
	}
	// What was revoked stays so.
	m.object("CredentialService/RevokeApiKey", fmt.Sprintf(`{"id": %q}`, m.key))
	m.object("CredentialService/ImportApiKeys", body)
	if got := m.object("CredentialService/GetApiKey", fmt.Sprintf(`{"id": %q}`, m.key)); at(got, "apiKey", "revokeTime") == nil {
		t.Errorf("an import brought a revoked key back: %v", got)
	}
}

func TestI12_NothingShowsWhatWasImported(t *testing.T) {
	t.Parallel()
	m := moving(t)
	given := hashOf("k1-of-acme")
	for _, call := range []string{"CredentialService/ListApiKeys", "AuditService/ListAuditEvents"} {
		if body := m.post(call, `{"pageSize": 1000}`).Body; strings.Contains(body, given) || body == "{}" {
			t.Errorf("%s shows the hash: %s", call, body)
		}
	}
	if strings.Contains(m.log.String(), given) {
		t.Error("the log shows the hash")
	}
}

func TestCustomersFile_BadRowsAreLeftOutAndStoreNothing(t *testing.T) {
	t.Parallel()
	m := moving(t)
	const call = "CustomerService/ImportCustomers"
	const header = "external_id,display_name,time_zone,metadata.a\n"
	long := strings.Repeat("x", 201)
	m.rows(call, []fileRow{
		{"no external id", header + ",A,,\n", "external_id"},
		{"long external id", header + long + ",,,\n", "external_id"},
		{"external id with a tab", header + "a\tb,,,\n", "external_id"},
		{"external id with a NUL", header + "a\x00,,,\n", "external_id"},
		{"external id of two lines", header + "\"a\nb\",,,\n", "external_id"},
		{"external id not UTF-8", header + "a\xff,,,\n", "external_id"},
		{"archived customer", header + "gone,,,\n", ""},
		{"long name", header + "a," + long + ",,\n", "display_name"},
		{"name of two lines", header + "a,\"x\ny\",,\n", "display_name"},
		{"name not UTF-8", header + "a,\xc3\x28,,\n", "display_name"},
		{"a very long name", header + "a," + strings.Repeat("x", 9000) + ",,\n", "display_name"},
		{"no such zone", header + "a,,Mars/Olympus,\n", "time_zone"},
		{"zone Local", header + "a,,Local,\n", "time_zone"},
		{"zone that is a path", header + "a,,../etc/passwd,\n", "time_zone"},
		{"zone of an offset", header + "a,,+02:00,\n", "time_zone"},
		{"long zone", header + "a,," + strings.Repeat("z", 65) + ",\n", "time_zone"},
		{"long metadata", header + "a,,," + strings.Repeat("m", 1025) + "\n", "metadata.a"},
		{"metadata with a bell", header + "a,,,\x07\n", "metadata.a"},
		{"long metadata name", "external_id,metadata." + strings.Repeat("n", 65) + "\na,1\n", "metadata"},
		{"too few fields", header + "a,A\n", ""},
		{"too many fields", header + "a,A,,,,\n", ""},
		{"fields by semicolon", header + "a;A;;\n", ""},
	})
	m.headers(call, []fileRow{
		{"nothing", "", "empty"},
		{"no header", "acme,Acme\n", `unknown column "acme"`},
		{"unknown column", "external_id,colour\na,red\n", `unknown column "colour"`},
		{"the API's name", "externalId\na\n", `unknown column "externalId"`},
		{"no external_id", "display_name\nA\n", `no column "external_id"`},
		{"column twice", "external_id,external_id\na,a\n", "twice"},
		{"family alone", "external_id,metadata.\na,a\n", "metadata."},
		{"semicolons", "external_id;display_name\na;A\n", "unknown column"},
		{"UTF-16", "\xff\xfee\x00x\x00\n", "not UTF-8"},
		{"not CSV", "external_id,\"\n", "not CSV"},
	})
}

func TestLicensesFile_BadRowsAreLeftOutAndStoreNothing(t *testing.T) {
	t.Parallel()
	m := moving(t)
	const call = "LicenseService/ImportLicenses"
	row := func(columns, fields string) string {
		return "external_id,external_customer_id,plan" + columns + "\n" + fields + "\n"
	}
	m.rows(call, []fileRow{
		{"no external id", row("", ",acme,free"), "external_id"},
		{"long external id", row("", strings.Repeat("x", 201)+",acme,free"), "external_id"},
		{"external id with a bell", row("", "a\x07,acme,free"), "external_id"},
		{"no customer", row("", "a,,free"), "customer"},
		{"unknown customer", row("", "a,nobody,free"), "external_customer_id"},
		{"unknown customer's id", "external_id,customer,plan\na,cus_none,free\n", "customer"},
		{"an external id as an id", "external_id,customer,plan\na,acme,free\n", "customer"},
		{"customer with a NUL", row("", "a,ac\x00me,free"), "external_customer_id"},
		{"long customer", row("", "a,"+strings.Repeat("c", 201)+",free"), "external_customer_id"},
		{"customer twice", row(",customer", "a,acme,free,"+m.customer), "customer"},
		{"archived customer", row("", "a,gone,free"), "external_customer_id"},
		{"no plan", row("", "a,acme,"), "plan"},
		{"unknown plan", row("", "a,acme,gold"), "plan"},
		{"plan that is no key", row("", "a,acme,Free Plan"), "plan"},
		{"archived plan", row("", "a,acme,old"), "plan"},
		{"plan without a version", row("", "a,acme,draft"), "plan"},
		{"unknown version", row(",plan_version", "a,acme,free,9"), "plan_version"},
		{"version that is no number", row(",plan_version", "a,acme,free,newest"), "plan_version"},
		{"negative version", row(",plan_version", "a,acme,free,-1"), "plan_version"},
		{"huge version", row(",plan_version", "a,acme,free,4294967296"), "plan_version"},
		{"start that is no time", row(",starts_at", "a,acme,free,yesterday"), "starts_at"},
		{"start of 31 February", row(",starts_at", "a,acme,free,2026-02-31"), "starts_at"},
		{"start in another order", row(",starts_at", "a,acme,free,31/01/2026"), "starts_at"},
		{"start without a zone", row(",starts_at", "a,acme,free,2026-01-31T10:00:00"), "starts_at"},
		{"end before the start", row(",starts_at,ends_at", "a,acme,free,2026-02-01,2026-01-01"), "ends_at"},
		{"end before now, started now", row(",ends_at", "a,acme,free,2020-01-01"), "ends_at"},
		{"year 0001", row(",anchor", "a,acme,free,0001-02-01"), "anchor"},
		{"anchor that is no time", row(",anchor", "a,acme,free,1"), "anchor"},
		{"known, of another plan", row("", "sub-1,acme,draft"), "plan"},
		{"known, of another version", row(",plan_version", "sub-1,acme,free,2"), "plan_version"},
		{"known, with another start", row(",starts_at", "sub-1,acme,free,2026-02-01"), "starts_at"},
		{"known, with another end", row(",ends_at", "sub-1,acme,free,2099-01-01"), "ends_at"},
		{"known, with another anchor", row(",anchor", "sub-1,acme,free,2026-02-01"), "anchor"},
		{"too few fields", row("", "a,acme"), ""},
	})
	m.headers(call, []fileRow{
		{"no plan", "external_id,customer\na,b\n", `no column "plan"`},
		{"no external_id", "customer,plan\na,b\n", `no column "external_id"`},
		{"a status", "external_id,plan,status\na,b,active\n", `unknown column "status"`},
	})
	if res := m.post("LicenseService/IssueLicense", fmt.Sprintf(`{"license": {"customer": %q, "plan": "free", "externalId": "sub-1"}}`, m.customer)); res.Code != "already_exists" || fmt.Sprint(faulty(t, res)) != "[license.external_id]" {
		t.Errorf("an external id twice: %s", res.Body)
	}
}

type fileRow struct{ name, file, want string }

// rows imports files whose one row is wrong in a field.
func (m moved) rows(call string, all []fileRow) {
	m.t.Helper()
	before := m.stored()
	for _, r := range all {
		res := m.streamed(call, r.file)
		errs, _ := at(res, "result", "errors").([]any)
		if counts(res) != "0/0/0/1" || len(errs) != 1 || at(errs[0], "line") != 2.0 {
			m.t.Errorf("%s: %v", r.name, res)
			continue
		}
		field, _ := at(errs[0], "field").(string)
		if message, _ := at(errs[0], "message").(string); field != r.want || message == "" {
			m.t.Errorf("%s: at %q, want %q: %s", r.name, field, r.want, message)
		}
	}
	if after := m.stored(); after != before {
		m.t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

// headers imports files that are none of the kind: the whole call is refused.
func (m moved) headers(call string, all []fileRow) {
	m.t.Helper()
	before := m.stored()
	for _, r := range all {
		res := m.stream(call, "", []string{r.file})
		if res.Code != "invalid_argument" || !strings.Contains(res.Message, r.want) || fmt.Sprint(faulty(m.t, res)) != "[csv]" {
			m.t.Errorf("%s: %d %s %q", r.name, res.Status, res.Code, res.Message)
		}
	}
	if after := m.stored(); after != before {
		m.t.Errorf("something was stored:\n%s\n%s", before, after)
	}
}

// A file that breaks off in the middle says where; what came before stays.
func TestImport_StopsWhereTheFileIsBroken(t *testing.T) {
	t.Parallel()
	m := moving(t)
	res := m.streamed("CustomerService/ImportCustomers", "external_id\nalpha\nbra\"vo\ncharlie\n")
	if counts(res) != "1/0/0/0" || at(res, "result", "stopped", "line") != 3.0 {
		t.Errorf("%v", res)
	}
	body := m.post("CustomerService/ListCustomers", "{}").Body
	if !strings.Contains(body, "alpha") || strings.Contains(body, "charlie") {
		t.Errorf("%s", body)
	}
	// A row that is in the file twice is reported, and does not overwrite the first.
	twice := m.streamed("CustomerService/ImportCustomers", "external_id,display_name\nalpha,A\nalpha,B\n")
	if counts(twice) != "0/1/0/1" || !strings.Contains(fmt.Sprint(twice), "is the one of line 2, too") {
		t.Errorf("%v", twice)
	}
}

func TestImport_MessagesAreBounded(t *testing.T) {
	t.Parallel()
	m := moving(t)
	for name, c := range map[string]struct{ head, piece, field string }{
		"a piece of 1 MiB and more": {"", strings.Repeat("x", 1<<20+1), "csv"},
		"a long request id":         {fmt.Sprintf(`"requestId": %q`, strings.Repeat("r", 101)), "external_id\n", "request_id"},
	} {
		if res := m.stream("CustomerService/ImportCustomers", c.head, []string{c.piece}); res.Code != "invalid_argument" || fmt.Sprint(faulty(t, res)) != "["+c.field+"]" {
			t.Errorf("%s: %d %s %s", name, res.Status, res.Code, res.Message)
		}
	}
	res := m.post("CustomerService/ImportCustomers", "{}", "Content-Type", "application/json")
	if res.Status != http.StatusUnsupportedMediaType {
		t.Errorf("a stream as a unary call: %d %s", res.Status, res.Body)
	}
}
