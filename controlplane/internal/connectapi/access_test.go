package connectapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollgate/controlplane/internal/auth"
	"tollgate/controlplane/internal/licensing"
)

func TestAPI_EachRoleCallsWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	a := setup(t)
	all, err := permissionsOf(services())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range auth.Roles() {
		token := a.token(licensing.Role(role))
		for procedure, needed := range all {
			body := "{}" // Valid for reads, refused by every write, after the gate.
			if strings.HasSuffix(procedure, "/WaitForEpoch") {
				body = `{"timeout": "0s"}`
			}
			res := a.send(procedure, strings.NewReader(body), "Authorization", "Bearer "+token)
			switch {
			case res.Code == "unauthenticated" || res.Status >= 500:
				t.Errorf("%s as %s: %d %s", procedure, role, res.Status, res.Body)
			case role.Holds(needed) && res.Code == "permission_denied":
				t.Errorf("%s as %s is refused: %s", procedure, role, res.Body)
			case !role.Holds(needed) && res.Code != "permission_denied":
				t.Errorf("%s as %s is let in: %d %s", procedure, role, res.Status, res.Body)
			case !role.Holds(needed) && (!strings.Contains(res.Message, string(needed)) || res.Status != http.StatusForbidden):
				t.Errorf("%s as %s: the refusal does not name %s: %s", procedure, role, needed, res.Body)
			}
		}
	}
}

func TestAPI_WithoutAGoodTokenNothingIsRead(t *testing.T) {
	t.Parallel()
	a := setup(t)
	revoked, secret, err := a.licensing.CreateToken(t.Context(), licensing.Token{Role: licensing.Owner})
	if err != nil {
		t.Fatal(err)
	}
	if res := a.post("AccessService/WhoAmI", "{}", "Authorization", "Bearer "+secret); res.Status != http.StatusOK {
		t.Fatalf("before it is revoked: %s", res.Body)
	}
	a.object("AccessService/RevokeToken", `{"id": "`+revoked.ID+`"}`)
	for name, header := range map[string]string{
		"none": "", "junk": "Bearer tga_junk", "an API key": "Bearer tg_live_x", "no scheme": a.owner, "another scheme": "Basic " + a.owner,
		"empty": "Bearer ", "cut": "Bearer " + a.owner[:len(a.owner)-1], "revoked": "Bearer " + secret, "two": "Bearer " + a.owner + " " + a.owner,
	} {
		for _, contentType := range []string{"application/json", "application/proto", "text/plain"} {
			// The body is broken: whoever reads it says so.
			res := a.post("CatalogService/ApplyCatalog", "{broken", "Authorization", header, "Content-Type", contentType)
			if res.Status != http.StatusUnauthorized || res.Code != "unauthenticated" {
				t.Errorf("%s, %s: %d %s", name, contentType, res.Status, res.Body)
			}
			if !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: WWW-Authenticate %q", name, res.Header.Get("WWW-Authenticate"))
			}
		}
	}
	if res := a.post("AccessService/WhoAmI", "{}", "Authorization", "bearer "+a.owner); res.Status != http.StatusOK {
		t.Errorf("the scheme's case does not matter: %s", res.Body)
	}
	if strings.Contains(a.log.String(), secret) {
		t.Error("I12: a token is in the log")
	}
}

func TestAPI_WhoAmIIsTheCaller(t *testing.T) {
	t.Parallel()
	a := setup(t)
	res := a.post("AccessService/WhoAmI", "{}", "Authorization", "Bearer "+a.token(licensing.BillingRole))
	if !strings.Contains(res.Body, "ROLE_BILLING") || !strings.Contains(res.Body, "tok_") {
		t.Errorf("%s", res.Body)
	}
}

func TestAPI_UnknownCallIsUnimplemented(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for _, call := range []string{"FleetService/Explode", "NoService/Do", "FleetService/", "FleetService/ListNodes/more"} {
		if res := a.post(call, "{}"); res.Code != "unimplemented" {
			t.Errorf("%s: %d %s", call, res.Status, res.Body)
		}
		if res := a.post(call, "{}", "Authorization", ""); res.Code != "unauthenticated" {
			t.Errorf("%s without a token tells what there is: %d %s", call, res.Status, res.Body)
		}
	}
}

func TestAPI_AnotherSiteCannotCallFromABrowser(t *testing.T) {
	t.Parallel()
	a := setup(t)
	if res := a.post("AccessService/WhoAmI", "{}", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); res.Status != http.StatusForbidden {
		t.Errorf("cross-site: %d %s", res.Status, res.Body)
	}
	if res := a.post("AccessService/WhoAmI", "{}", "Origin", a.url, "Sec-Fetch-Site", "same-origin"); res.Status != http.StatusOK {
		t.Errorf("same origin: %d %s", res.Status, res.Body)
	}
}

func TestAPI_AnswersAreKeptByNoCacheAndNamedInTheLog(t *testing.T) {
	t.Parallel()
	a := setup(t)
	var ids []string
	for range 3 {
		res := a.post("AccessService/WhoAmI", "{}")
		ids = append(ids, res.Header.Get(requestIDHeader))
		if res.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(ids[len(ids)-1], "req_") {
			t.Errorf("headers %v", res.Header)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 3 {
		t.Errorf("ids repeat: %v", ids)
	}
}
