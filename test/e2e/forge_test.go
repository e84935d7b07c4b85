package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
	"tollgate/test/system"
)

// forgedChangeSet publishes a copy of the last change set with one byte of its payload flipped.
func forgedChangeSet(t *testing.T, s *system.System) {
	r, c := s.Ready(t), s.Client(t)
	nc, err := nats.Connect(r.NATSURL, r.AsAdmin()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "TOLLGATE_RULES")
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "tollgate.rules")
	if err != nil {
		t.Fatal(err)
	}
	var m rulesv1.Signed
	if err := proto.Unmarshal(last.Data, &m); err != nil {
		t.Fatal(err)
	}
	m.Payload[len(m.Payload)/2] ^= 1
	forged, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	rejected := func(n system.Process) int64 {
		return system.Metric(t, n.OpsURL, "tollgate_rules_rejected_total", `reason="signature"`)
	}
	var before []int64
	for _, n := range r.Nodes {
		before = append(before, rejected(n))
	}
	load := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], Connections: 8}
	load.Start(t)
	forgery := &nats.Msg{Subject: "tollgate.rules", Header: nats.Header{"Tollgate-Epoch": last.Header["Tollgate-Epoch"]}, Data: forged}
	if _, err := js.PublishMsg(t.Context(), forgery); err != nil {
		t.Fatal(err)
	}
	for i, n := range r.Nodes {
		system.Eventually(t, 5*time.Second, n.Name+" counts the forgery", func() error {
			if got := rejected(n); got <= before[i] {
				return fmt.Errorf("%d rejected", got)
			}
			return nil
		})
	}
	lic, _ := newLicense(t, c, "forge-co", "pro")
	key, err := c.Keys.CreateApiKey(t.Context(), &adminv1.CreateApiKeyRequest{License: lic})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, key.GetSecret(), "/hello", http.StatusOK)
	counts := load.Stop()
	if len(counts) != 1 || counts[http.StatusOK] == 0 {
		t.Errorf("answers %v, want 200 alone", counts)
	}
}
