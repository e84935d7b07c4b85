package up

import (
	"encoding/json"
	"fmt"
)

// readyFile says where everything is, in a form that docs/reference/up.md promises.
type readyFile struct {
	AdminURL         string         `json:"admin_url"`
	AdminToken       string         `json:"admin_token"`
	ProxyURL         string         `json:"proxy_url"`
	DatabaseURL      string         `json:"database_url"`
	NATSURL          string         `json:"nats_url"`
	NATSAdminCreds   string         `json:"nats_admin_creds"`
	NATSCA           string         `json:"nats_ca"`
	DataDir          string         `json:"data_dir"`
	UpstreamStatsURL string         `json:"upstream_stats_url"`
	Nodes            []readyNode    `json:"nodes"`
	ControlPlanes    []readyPlane   `json:"controlplanes"`
	Processes        []readyProcess `json:"processes"`
	Demo             *readyDemo     `json:"demo,omitempty"`
}

type readyNode struct {
	Name     string `json:"name"`
	ProxyURL string `json:"proxy_url"`
	OpsURL   string `json:"ops_url"`
	PID      int    `json:"pid"`
}

type readyPlane struct {
	Name     string `json:"name"`
	AdminURL string `json:"admin_url"`
	OpsURL   string `json:"ops_url"`
	PID      int    `json:"pid"`
}

type readyProcess struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

type readyDemo struct {
	Keys map[string]string `json:"keys"`
}

func (r *readyFile) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the ready file: %w", err)
	}
	return replaceFile(path, append(raw, '\n'))
}
