package connectapi

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The guide's file is one: it applies, and as the guide says, a second time and as an export it changes nothing.
func TestGuide_ItsCatalogFileApplies(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/guides/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	file, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no file in the guide")
	}
	a := setup(t)
	if changes, _ := a.apply(file)["changes"].([]any); len(changes) != 9+4+2+1+2 {
		t.Errorf("changes %v", changes)
	}
	exported, _ := a.object("CatalogService/ExportCatalog", `{}`)["yaml"].(string)
	for _, text := range []string{file, exported} {
		if res := a.object("CatalogService/ApplyCatalog", fmt.Sprintf(`{"yaml": %q, "prune": true}`, text)); res["changes"] != nil {
			t.Errorf("%s\nchanges %v", text, res["changes"])
		}
	}
	v := a.post("CatalogService/GetPlanVersion", `{"plan": "pro"}`).Body
	for _, want := range []string{`"trialDays":14`, `"value":10`, `"value":"eu-central"`, `"rollover":"50000"`, `"upTo":"50000"`, `"unitSize":"10"`, `"included":"10000"`} {
		if !strings.Contains(strings.ReplaceAll(v, " ", ""), want) {
			t.Errorf("no %s in %s", want, v)
		}
	}
}

var csvBlock = regexp.MustCompile("(?s)```csv\n(.*?)```")

// The files of the guide to moving in are taken in the order in which they stand, and again without a change.
func TestGuide_ItsFilesAreImported(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/guides/import.md")
	if err != nil {
		t.Fatal(err)
	}
	files := csvBlock.FindAllStringSubmatch(string(guide), -1)
	if len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	a := setup(t)
	a.apply(demo)
	for _, want := range []string{"2/0/0/0", "0/0/2/0"} {
		for i, call := range []string{"CustomerService/ImportCustomers", "LicenseService/ImportLicenses"} {
			if res := a.streamed(call, files[i][1]); counts(res) != want {
				t.Errorf("%s: %v", call, res)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(files[2][1]), "\n")
	var keys []string
	for _, line := range lines[1:] {
		f := strings.Split(line, ",")
		key := fmt.Sprintf(`{"licenseExternalId": %q, "sha256": %q, "displayName": %q, "prefix": %q`, f[0], f[1], f[2], f[3])
		if f[4] != "" {
			key += fmt.Sprintf(`, "expiresAt": "%sT00:00:00Z"`, f[4])
		}
		keys = append(keys, key+"}")
	}
	body := fmt.Sprintf(`{"apiKeys": [%s]}`, strings.Join(keys, ", "))
	if res := a.object("CredentialService/ImportApiKeys", body); res["imported"] != 2.0 {
		t.Errorf("%v", res)
	}
}
