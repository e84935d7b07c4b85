package connectapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

// stream makes a call whose client streams, as Connect has it: each piece of the file is a message, and head are more fields of the
// first, like `"validateOnly": true`.
func (a *api) stream(call, head string, pieces []string, header ...string) answer {
	a.t.Helper()
	var body bytes.Buffer
	for i, p := range pieces {
		m := fmt.Sprintf(`{"csv": %q`, base64.StdEncoding.EncodeToString([]byte(p)))
		if i == 0 && head != "" {
			m += ", " + head
		}
		m += "}"
		body.WriteByte(0)
		body.Write(binary.BigEndian.AppendUint32(nil, uint32(len(m))))
		body.WriteString(m)
	}
	res := a.send("/tollgate.admin.v1."+call, &body, append([]string{"Content-Type", "application/connect+json"}, header...)...)
	if res.Status != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/connect+") {
		return res
	}
	// The answer, if there is one, and the end of the stream.
	out := answer{Status: res.Status, Header: res.Header}
	for rest := res.Body; len(rest) >= 5; {
		size := 5 + int(binary.BigEndian.Uint32([]byte(rest[1:5])))
		text := rest[5:size]
		if rest[0]&2 == 0 {
			out.Body = text
		} else {
			var end struct{ Error *answer }
			if err := json.Unmarshal([]byte(text), &end); err != nil {
				a.t.Fatalf("%s: %s: %v", call, text, err)
			}
			if end.Error != nil {
				out.Code, out.Message, out.Details, out.Body = end.Error.Code, end.Error.Message, end.Error.Details, text
			}
		}
		rest = rest[size:]
	}
	return out
}

// streamed is the answer to a file in one piece, which has to be a good one.
func (a *api) streamed(call, csv string) map[string]any {
	a.t.Helper()
	res := a.stream(call, "", []string{csv})
	var out map[string]any
	if err := json.Unmarshal([]byte(res.Body), &out); err != nil || res.Code != "" {
		a.t.Fatalf("%s: %d %s", call, res.Status, res.Body)
	}
	return out
}

// counts is the result of an import as "created/updated/unchanged/failed".
func counts(v map[string]any) string {
	n := func(field string) any {
		if x := at(v, "result", field); x != nil {
			return x
		}
		return 0
	}
	return fmt.Sprintf("%v/%v/%v/%v", n("created"), n("updated"), n("unchanged"), n("failed"))
}

// A stream passes the gate as any other call does, before a byte of it is read.
func TestAPI_StreamsAreForWhoMayCallThem(t *testing.T) {
	t.Parallel()
	a := setup(t)
	file := []string{"external_id\nacme\n"}
	for call := range clientStreams(services()) {
		call = strings.TrimPrefix(call, "/tollgate.admin.v1.")
		for name, c := range map[string]struct{ authorization, code string }{
			"no token": {"", "unauthenticated"}, "junk": {"Bearer tga_junk", "unauthenticated"},
			"viewer": {"Bearer " + a.token(licensing.Viewer), "permission_denied"}, "billing": {"Bearer " + a.token(licensing.BillingRole), "permission_denied"},
		} {
			for _, contentType := range []string{"application/connect+json", "application/connect+proto", "application/grpc-web"} {
				res := a.stream(call, "", file, "Authorization", c.authorization, "Content-Type", contentType)
				grpc := map[string]string{"unauthenticated": "16", "permission_denied": "7"}[c.code]
				if res.Code != c.code && res.Header.Get("Grpc-Status") != grpc {
					t.Errorf("%s as %s by %s: %d %q %s", call, name, contentType, res.Status, res.Code, res.Body)
				}
			}
		}
	}
	if res := a.post("CustomerService/ListCustomers", "{}"); res.Body != "{}" {
		t.Errorf("something was stored: %s", res.Body)
	}
}

// streaming is a client that streams with a token.
func (a *api) streaming(token string) adminv1connect.CustomerServiceClient {
	return adminv1connect.NewCustomerServiceClient(&http.Client{Transport: tokenTransport{token}}, a.url)
}

// tokenTransport sends a token with each request.
type tokenTransport struct{ token string }

func (b tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// A file may be larger than the body of any other call. Who may not send it hears so, however much is still to come.
func TestAPI_StreamsMayBeLargeAndAreRefusedEarly(t *testing.T) {
	t.Parallel()
	a := setup(t)
	send := func(token string) (*adminv1.ImportCustomersResponse, int, error) {
		stream, err := a.streaming(token).ImportCustomers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		row := "row," + strings.Repeat("x", 1020) + "\n"
		pieces := 0
		for ; pieces < 24; pieces++ { // 12 MiB.
			piece := strings.Repeat(row, 512)
			if pieces == 0 {
				piece = "external_id,display_name\n" + piece
			}
			if err := stream.Send(&adminv1.ImportCustomersRequest{Csv: []byte(piece)}); err != nil {
				break
			}
		}
		res, err := stream.CloseAndReceive()
		return res, pieces, err
	}
	res, _, err := send(a.owner)
	if err != nil || res.GetResult().GetFailed() != 24*512 || len(res.GetResult().GetErrors()) != 100 {
		t.Errorf("%d failed, %d errors, %v", res.GetResult().GetFailed(), len(res.GetResult().GetErrors()), err)
	}
	if _, pieces, err := send(a.token(licensing.Viewer)); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("after %d pieces: %v", pieces, err)
	}
}

// A stream may last for hours: a token that is revoked meanwhile stores nothing more.
func TestAPI_ARevokedTokenEndsItsStream(t *testing.T) {
	t.Parallel()
	a := setup(t)
	stream, err := a.streaming(a.token(licensing.Editor)).ImportCustomers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := func(from, to int) []byte {
		var csv []byte
		for i := from; i < to; i++ {
			csv = fmt.Appendf(csv, "customer-%d\n", i)
		}
		return csv
	}
	stored := func() int {
		return a.count(func(l licensing.List) (int, string, error) {
			p, err := a.licensing.ListCustomers(t.Context(), l)
			return len(p.Items), p.Next, err
		})
	}
	if err := stream.Send(&adminv1.ImportCustomersRequest{Csv: append([]byte("external_id\n"), rows(0, 1001)...)}); err != nil {
		t.Fatal(err)
	}
	for stored() == 0 && t.Context().Err() == nil {
		continue // The first batch is on its way.
	}
	tokens, err := a.licensing.ListTokens(t.Context(), licensing.List{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens.Items {
		if token.Role == licensing.Editor {
			if _, err := a.licensing.RevokeToken(t.Context(), token.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = stream.Send(&adminv1.ImportCustomersRequest{Csv: rows(1001, 2500)})
	if _, err := stream.CloseAndReceive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("%v", err)
	}
	if n := stored(); n != 1000 {
		t.Errorf("%d are stored", n)
	}
}

// The REST form of a stream does not exist: nothing leads to it but its procedure.
func TestAPI_ImportsHaveNoRESTForm(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for _, path := range []string{"/v1/customers:import", "/v1/licenses:import"} {
		if res := a.rest(http.MethodPost, path, `{}`); res.Status == http.StatusOK {
			t.Errorf("%s: %s", path, res.Body)
		}
	}
}

func TestImportCustomers_MakesUpdatesAndLeavesAlone(t *testing.T) {
	t.Parallel()
	a := setup(t)
	const call = "CustomerService/ImportCustomers"
	first := a.streamed(call, "external_id,display_name,time_zone,metadata.segment\nacme,Acme,Europe/Berlin,smb\nbravo,Bravo,,\n")
	if counts(first) != "2/0/0/0" {
		t.Fatalf("%v", first)
	}
	again := a.streamed(call, "external_id,display_name,time_zone,metadata.segment\nacme,Acme,Europe/Berlin,smb\nbravo,Bravo,,\n")
	if counts(again) != "0/0/2/0" || fmt.Sprint(again["epoch"]) != fmt.Sprint(first["epoch"]) {
		t.Errorf("again: %v, first %v", again, first)
	}
	// What has no column stays; an empty cell empties.
	third := a.streamed(call, "metadata.tier,external_id,metadata.segment\n1,acme,\n2,charlie,x\n")
	if counts(third) != "1/1/0/0" {
		t.Errorf("%v", third)
	}
	got := at(a.object("CustomerService/ListCustomers", `{"filter": "external_id = acme"}`), "customers")
	c, _ := got.([]any)[0].(map[string]any)
	if c["displayName"] != "Acme" || c["timeZone"] != "Europe/Berlin" || fmt.Sprint(c["metadata"]) != "map[tier:1]" {
		t.Errorf("%v", c)
	}
}

func TestImportCustomers_PiecesMayEndAnywhere(t *testing.T) {
	t.Parallel()
	a := setup(t)
	file := "external_id,display_name\nacme,\"Äcme, Ltd\"\n"
	var bytewise []string
	for i := range len(file) {
		bytewise = append(bytewise, file[i:i+1], "")
	}
	res := a.stream("CustomerService/ImportCustomers", "", bytewise)
	if res.Code != "" || !strings.Contains(a.post("CustomerService/ListCustomers", "{}").Body, "Äcme, Ltd") {
		t.Errorf("%s", res.Body)
	}
}

func TestImport_TheSameRequestIDHasOneEffect(t *testing.T) {
	t.Parallel()
	a := setup(t)
	const call, head = "CustomerService/ImportCustomers", `"requestId": "r1"`
	first := a.stream(call, head, []string{"external_id\nac", "me\n"})
	again := a.stream(call, head, []string{"external_id\nacme\n"})
	if first.Body == "" || compact(first.Body) != compact(again.Body) {
		t.Errorf("%s, then %s", first.Body, again.Body)
	}
	if other := a.stream(call, head, []string{"external_id\nbravo\n"}); other.Code != "invalid_argument" || !strings.Contains(other.Message, "request_id") {
		t.Errorf("another file by that id: %s", other.Body)
	}
}

func TestImport_ValidateOnlyStoresNothing(t *testing.T) {
	t.Parallel()
	a := setup(t)
	before := a.post("LicenseService/ListLicenses", "{}").Body
	res := a.stream("CustomerService/ImportCustomers", `"validateOnly": true`, []string{"external_id,time_zone\nacme,\nbravo,Mars/Olympus\n"})
	if !strings.Contains(compact(res.Body), `"created":1`) || !strings.Contains(compact(res.Body), `"line":3,"field":"time_zone"`) {
		t.Errorf("%s", res.Body)
	}
	if got := a.post("CustomerService/ListCustomers", "{}").Body; got != "{}" || a.post("LicenseService/ListLicenses", "{}").Body != before {
		t.Errorf("stored: %s", got)
	}
}

// compact takes the spaces out that protojson puts in at random.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// A call that breaks off leaves what was stored, and no row that came in half; the file sent again makes up the rest.
func TestImport_BrokenOffIsMadeUpBySendingItAgain(t *testing.T) {
	t.Parallel()
	const rows = 2500
	a := setup(t)
	var file strings.Builder
	file.WriteString("external_id,display_name\n")
	for i := range rows {
		fmt.Fprintf(&file, "customer-%d,Customer\n", i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := a.streaming(a.owner).ImportCustomers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.LastIndex(file.String(), "Customer\n")
	if err := stream.Send(&adminv1.ImportCustomersRequest{Csv: []byte(file.String()[:cut])}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := stream.CloseAndReceive(); err == nil {
		t.Fatal("a call that was canceled has an answer")
	}
	res := a.streamed("CustomerService/ImportCustomers", file.String())
	n := func(field string) float64 {
		v, _ := at(res, "result", field).(float64)
		return v
	}
	if n("created")+n("unchanged") != rows || n("created") < 1 || n("updated") != 0 || n("failed") != 0 {
		t.Errorf("%v", res)
	}
}

// panicking is a stream whose handler panics.
type panicking struct{ connect.StreamingHandlerConn }

func (panicking) Spec() connect.Spec { return connect.Spec{Procedure: "/tollgate.admin.v1.X/Y"} }

func TestInterceptor_APanicInAStreamIsAnInternalError(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	i := interceptor{log: slog.New(slog.NewTextHandler(log, nil))}
	err := i.WrapStreamingHandler(func(context.Context, connect.StreamingHandlerConn) error { panic("secret detail") })(t.Context(), panicking{})
	if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret detail") || !strings.Contains(log.String(), "secret detail") {
		t.Errorf("%v, log %s", err, log)
	}
}
