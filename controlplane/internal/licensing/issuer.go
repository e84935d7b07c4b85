package licensing

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Issuer is an identity provider whose JWTs are to name a customer or a licence. It is stored and checked; nodes are not told of it yet.
type Issuer struct {
	Key         string
	DisplayName string
	Issuer      string // The iss of its tokens: an https URL, compared as it is written.
	// Where its keys are: one of the three.
	JwksFile  string // An absolute path on the control plane's machine.
	JwksURL   string // https.
	Discovery bool   // OpenID Connect Discovery, below Issuer.
	Audiences []string
	// The claim that says whose a token is: one of the two. CustomerClaim holds an external id, LicenseClaim a licence's id.
	CustomerClaim, LicenseClaim string
	Algorithms                  []string // Empty: all of Algorithms().
	Meta
}

// Algorithms are those by which tokens may be signed (RFC 7518, RFC 8037).
func Algorithms() []string { return []string{"EdDSA", "ES256", "RS256", "PS256"} }

// Validate checks what callers set. Files and URLs are not looked at.
func (i *Issuer) Validate() error {
	if err := checkKey("key", i.Key); err != nil {
		return err
	}
	if err := checkText("display_name", i.DisplayName, 200); err != nil {
		return err
	}
	if err := checkHTTPS("issuer", i.Issuer, 500, false); err != nil {
		return err
	}
	if err := i.validateKeys(); err != nil {
		return err
	}
	if len(i.Audiences) == 0 {
		return invalid("audiences", "needs at least one: a token for anybody is for nobody")
	}
	if len(i.Audiences) > 32 {
		return invalid("audiences", "has more than 32 items")
	}
	for n, a := range i.Audiences {
		field := "audiences[" + strconv.Itoa(n) + "]"
		if err := checkText(field, a, 500); err != nil {
			return err
		}
		if a == "" {
			return invalid(field, "is empty")
		}
		if slices.Contains(i.Audiences[:n], a) {
			return invalid(field, "%q is there twice", a)
		}
	}
	if err := i.validateClaims(); err != nil {
		return err
	}
	for n, a := range i.Algorithms {
		field := "algorithms[" + strconv.Itoa(n) + "]"
		if !slices.Contains(Algorithms(), a) {
			return invalid(field, "%q is not an algorithm that is taken: use %s", a, strings.Join(Algorithms(), ", "))
		}
		if slices.Contains(i.Algorithms[:n], a) {
			return invalid(field, "%q is there twice", a)
		}
	}
	return nil
}

func (i *Issuer) validateKeys() error {
	given := 0
	for _, is := range []bool{i.JwksFile != "", i.JwksURL != "", i.Discovery} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("jwks_file", "is one of jwks_file, jwks_url and discovery, of which there has to be exactly one")
	case i.JwksURL != "":
		return checkHTTPS("jwks_url", i.JwksURL, 1000, true)
	case i.JwksFile != "":
		if err := checkText("jwks_file", i.JwksFile, 1000); err != nil {
			return err
		}
		if !path.IsAbs(i.JwksFile) || path.Clean(i.JwksFile) != i.JwksFile || i.JwksFile == "/" {
			return invalid("jwks_file", "%q is not the absolute path of a file, without . and ..", i.JwksFile)
		}
	}
	return nil
}

func (i *Issuer) validateClaims() error {
	if (i.CustomerClaim == "") == (i.LicenseClaim == "") {
		return invalid("customer_claim", "is one of customer_claim and license_claim, of which there has to be exactly one")
	}
	if err := checkText("customer_claim", i.CustomerClaim, 128); err != nil {
		return err
	}
	return checkText("license_claim", i.LicenseClaim, 128)
}

func checkHTTPS(field, text string, longest int, query bool) error {
	if text == "" {
		return invalid(field, "is required: an https URL")
	}
	if err := checkText(field, text, longest); err != nil {
		return err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return invalid(field, "%q is not an absolute https URL", text)
	case u.User != nil:
		return invalid(field, "has user information")
	case strings.Contains(text, "#") || !query && (u.RawQuery != "" || u.ForceQuery):
		return invalid(field, "%q has a query or fragment", text)
	}
	return nil
}

func (i *Issuer) normalize() {
	if len(i.Algorithms) == 0 {
		i.Algorithms = Algorithms()
	}
}

func (i *Issuer) sameAs(o *Issuer) bool {
	return i.DisplayName == o.DisplayName && i.Issuer == o.Issuer && i.JwksFile == o.JwksFile && i.JwksURL == o.JwksURL &&
		i.Discovery == o.Discovery && slices.Equal(i.Audiences, o.Audiences) && i.CustomerClaim == o.CustomerClaim &&
		i.LicenseClaim == o.LicenseClaim && slices.Equal(i.Algorithms, o.Algorithms)
}
