package up

import (
	"fmt"
	"io"
	"strings"
)

// printHelp says what to try next. Each command answers as the text beside it says.
func (s *system) printHelp(out io.Writer) error {
	var b strings.Builder
	proxy := s.file.ProxyURL
	if s.file.Demo != nil {
		k := s.file.Demo.Keys
		fmt.Fprintf(&b, "\n# 200: pro has the feature\ncurl -i -H 'Authorization: Bearer %s' %s/reports/x\n", k["pro"], proxy)
		fmt.Fprintf(&b, "\n# 403 feature_not_in_plan: free has not\ncurl -i -H 'Authorization: Bearer %s' %s/reports/x\n", k["free"], proxy)
		fmt.Fprintf(&b, "\n# 403 license_expired\ncurl -i -H 'Authorization: Bearer %s' %s/hello\n", k["expired"], proxy)
		fmt.Fprintf(&b, "\n# 200 up to five times, then 429: free has 5 requests a second\n"+
			"curl -s -o /dev/null -w '%%{http_code}\\n' -H 'Authorization: Bearer %s' '%s/hello?[1-12]'\n", k["free"], proxy)
	} else {
		fmt.Fprintf(&b, "\n# nothing is behind the proxy yet: describe it in a catalog file\ntollgate apply -f catalog.yaml --wait\n\nproxy     %s\n", proxy)
	}
	fmt.Fprintf(&b, "\npage      %s", s.file.AdminURL)
	if isTerminal(out) {
		fmt.Fprintf(&b, "/#token=%s", s.file.AdminToken)
	} else {
		fmt.Fprintf(&b, "   sign in with the token in %s", s.dir.join("admin-token"))
	}
	fmt.Fprintf(&b, "\nlogs      %s\n\n", s.dir.join("logs"))
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
