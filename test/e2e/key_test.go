package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/system"
)

// A key that a customer brings from another system opens what its licence allows, is unknown before it is imported, and is replaced by one
// of Tollgate's without a request lost.
func keysMoveIn(t *testing.T, s *system.System) {
	r, c := s.Ready(t), s.Client(t)
	// No quota of its own: the loads of other tests must not matter.
	license := licenseOf(t, c, "enterprise-co").GetId()
	foreign := "sk_former_" + rand.Text()
	answersOnAllNodes(t, r, foreign, http.StatusUnauthorized, "credential_invalid")

	sum := sha256.Sum256([]byte(foreign))
	imported, err := c.Keys.ImportApiKeys(t.Context(), &adminv1.ImportApiKeysRequest{ApiKeys: []*adminv1.HashedApiKey{
		{License: license, Sha256: hex.EncodeToString(sum[:]), DisplayName: "from the former system"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	enforced(t, c, imported.GetEpoch())
	answersOnAllNodes(t, r, foreign, http.StatusOK, "")
	answersOnAllNodes(t, r, foreign+"x", http.StatusUnauthorized, "credential_invalid")
	for _, n := range r.Nodes {
		if _, body, err := system.Get(n.ProxyURL+"/echo/keys", foreign); err != nil || strings.Contains(body, foreign) || !strings.Contains(body, license) {
			t.Errorf("I12: the upstream behind %s got %s, %v", n.Name, body, err)
		}
	}

	rotated, err := c.Keys.RotateApiKey(t.Context(), &adminv1.RotateApiKeyRequest{
		Id: imported.GetResults()[0].GetApiKey(), Overlap: durationpb.New(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	enforced(t, c, rotated.GetEpoch())
	first := rotated.GetSecret()
	answersOnAllNodes(t, r, foreign, http.StatusOK, "")
	answersOnAllNodes(t, r, first, http.StatusOK, "")

	again, err := c.Keys.RotateApiKey(t.Context(), &adminv1.RotateApiKeyRequest{Id: rotated.GetApiKey().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	// Not waited for: it has to come about within a second by itself.
	answersOnAllNodes(t, r, first, http.StatusUnauthorized, "credential_revoked")
	answersOnAllNodes(t, r, again.GetSecret(), http.StatusOK, "")
	answersOnAllNodes(t, r, foreign, http.StatusOK, "")

	revoked, err := c.Keys.RevokeApiKey(t.Context(), &adminv1.RevokeApiKeyRequest{Id: imported.GetResults()[0].GetApiKey()})
	if err != nil || revoked.GetApiKey().GetRevokeTime() == nil {
		t.Fatal(revoked, err)
	}
	answersOnAllNodes(t, r, foreign, http.StatusUnauthorized, "credential_revoked")
}

// answersOnAllNodes waits a second at most until every node answers a key so.
func answersOnAllNodes(t *testing.T, r system.Ready, key string, status int, code string) {
	t.Helper()
	for _, n := range r.Nodes {
		system.Eventually(t, time.Second, fmt.Sprintf("%s answers %d %s", n.Name, status, code), func() error {
			got, body, err := system.Get(n.ProxyURL+"/hello", key)
			if err == nil && (got != status || code != "" && !strings.Contains(body, `"code":"`+code+`"`)) {
				err = fmt.Errorf("%d %s", got, body)
			}
			return err
		})
	}
}

func enforced(t *testing.T, c *system.Client, epoch *adminv1.Epoch) {
	t.Helper()
	res, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: epoch, Timeout: durationpb.New(10 * time.Second)})
	if err != nil || res.GetEnforced() != res.GetTotal() || res.GetTotal() == 0 {
		t.Fatalf("epoch %v: %v, %v", epoch, res, err)
	}
}
