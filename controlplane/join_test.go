package controlplane

import (
	"slices"
	"testing"
)

// Nodes have credentials of their own: the control plane's may do anything.
func TestJoining_TellsNodesNoCredentialsOfTheControlPlane(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{NATSURL: "nats://cp:secret@h1:4222, tls://token@h2:4222"},
		{NATSURL: "nats://cp:secret@h9:4222", NodeNATSURL: "nats://h1:4222,tls://u@h2:4222"},
	} {
		n, err := joining{cfg: cfg}.nats()
		if want := []string{"nats://h1:4222", "tls://h2:4222"}; err != nil || !slices.Equal(n.URLs, want) {
			t.Errorf("%q, %v; want %q", n.URLs, err, want)
		}
	}
}
