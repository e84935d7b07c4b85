package connectapi

import (
	"fmt"
	"os"
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
