package catalog

import (
	"math"
	"time"

	"tollgate/controlplane/internal/licensing"
)

type term struct {
	Key        string               `yaml:"key"`
	Name       string               `yaml:"name"`
	On         string               `yaml:"on"`
	When       string               `yaml:"when"`
	Effect     licensing.TermEffect `yaml:"effect"`
	Priority   number               `yaml:"priority"`
	RetryAfter duration             `yaml:"retry_after"`
	Cost       *number              `yaml:"cost"`
	Message    string               `yaml:"message"`
}

type issuer struct {
	Key           string   `yaml:"key"`
	Name          string   `yaml:"name"`
	Issuer        string   `yaml:"issuer"`
	JwksFile      string   `yaml:"jwks_file"`
	JwksURL       string   `yaml:"jwks_url"`
	Discovery     bool     `yaml:"discovery"`
	Audiences     []string `yaml:"audiences"`
	CustomerClaim string   `yaml:"customer_claim"`
	LicenseClaim  string   `yaml:"license_claim"`
	Algorithms    []string `yaml:"algorithms"`
}

func (f *file) checkTerms() error {
	for _, t := range f.Terms {
		if t.Priority > math.MaxInt32 || t.Priority < math.MinInt32 {
			return wrong("term %q: priority %d is beyond 32 bits", t.Key, int64(t.Priority))
		}
	}
	return nil
}

func (t *term) term() licensing.Term {
	return licensing.Term{
		Key: t.Key, DisplayName: t.Name, On: t.On, When: t.When, Effect: t.Effect, Priority: int32(t.Priority),
		RetryAfter: time.Duration(t.RetryAfter), Cost: (*int64)(t.Cost), Message: t.Message,
	}
}

func (i *issuer) issuer() licensing.Issuer {
	return licensing.Issuer{
		Key: i.Key, DisplayName: i.Name, Issuer: i.Issuer, JwksFile: i.JwksFile, JwksURL: i.JwksURL, Discovery: i.Discovery,
		Audiences: i.Audiences, CustomerClaim: i.CustomerClaim, LicenseClaim: i.LicenseClaim, Algorithms: i.Algorithms,
	}
}

func writeTerm(t *licensing.Term, n *mapping) {
	n.text("key", t.Key)
	n.text("name", t.DisplayName)
	n.text("on", t.On)
	n.text("when", t.When)
	n.text("effect", string(t.Effect))
	n.number("priority", int64(t.Priority))
	if t.RetryAfter > 0 {
		n.text("retry_after", t.RetryAfter.String())
	}
	if t.Cost != nil {
		n.add("cost", whole(*t.Cost)) // A cost of 0 is one.
	}
	n.text("message", t.Message)
}

func writeIssuer(i *licensing.Issuer, n *mapping) {
	n.text("key", i.Key)
	n.text("name", i.DisplayName)
	n.text("issuer", i.Issuer)
	n.text("jwks_file", i.JwksFile)
	n.text("jwks_url", i.JwksURL)
	if i.Discovery {
		n.add("discovery", boolean(true))
	}
	n.list("audiences", texts(i.Audiences))
	n.text("customer_claim", i.CustomerClaim)
	n.text("license_claim", i.LicenseClaim)
	n.list("algorithms", texts(i.Algorithms))
}
