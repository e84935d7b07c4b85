package connectapi

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/controlplane/internal/licensing"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The page's examples run one after the other, as its reader would run them.
func TestDocs_EveryCurlOfTheReferenceAnswers(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.apply(demo)
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "reference", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	// What each says when it did what the text around it promises.
	want := []string{
		`"externalId":"acme"`, `"externalId":"acme"`, `"displayName":"Acme Ltd".*"archiveTime"`, `^\{\}`, `^\{\}`, `"created":1`, `"secret":"tg_live_.*"old":.*"expiresAt"`,
		`"results":.*"imported":1`, `tok_.*tok_.*grpc-status: 0`, `"status":"SERVING_STATUS_SERVING"`,
		`"source":"add_on:sign-on","expiresAt":"2099-01-01T00:00:00Z".*"addOns":\[\{"addOn":"sign-on"`,
		`ACCEPTED.*DUPLICATE.*events\[2\].subject.*"accepted":1`, `"total":"5"|"total":"425"`,
	}
	if len(blocks) != len(want) {
		t.Fatalf("%d blocks, %d expectations", len(blocks), len(want))
	}
	token := a.token(licensing.Editor)
	license := ""
	for i, block := range blocks {
		if license == "" && strings.Contains(block[1], "$LICENSE") {
			license = a.metered() // Earlier blocks find no customers.
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block[1])
		cmd.Env = append(os.Environ(), "TOLLGATE_SERVER="+a.url, "TOLLGATE_TOKEN="+token, "LICENSE="+license)
		out, err := cmd.CombinedOutput()
		// protojson puts spaces in at random.
		text := regexp.MustCompile(`(?s)"([:,])\s+(["\d])`).ReplaceAllString(strings.ReplaceAll(string(out), "\n", " "), `"$1$2`)
		if err != nil || !regexp.MustCompile(want[i]).MatchString(text) {
			t.Errorf("%s%v: want %s, got %q", block[1], err, want[i], text)
		}
	}
}
