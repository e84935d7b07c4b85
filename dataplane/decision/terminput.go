package decision

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Details are what only terms look at of a request. They are asked for when a condition does, so that a request without terms does not pay
// for them. Methods are called from within Decide, and must not block.
type Details interface {
	// Header is the request's header, by name in any spelling.
	Header() map[string][]string
	// Query is the request's query, decoded. An error: it cannot be told what an upstream reads in it.
	Query() (map[string][]string, error)
	// ClientIP is who sent the request; empty where that is not known.
	ClientIP() string
}

// termName is a name that conditions may use. Each is one variable to CEL, dots included: so a misspelt one is an error when it is compiled.
type termName struct {
	name string
	kind *cel.Type
	// size is how long a text is, or how many items there are, and item how long those are; at most, and for estimates alone.
	size, item uint64
	get        func(*termInput) ref.Val
}

var texts = cel.MapType(cel.StringType, cel.StringType)

var termNames = []termName{
	{name: "request.method", kind: cel.StringType, size: 32, get: func(in *termInput) ref.Val { return types.String(in.request.Method) }},
	{name: "request.host", kind: cel.StringType, size: 255, get: func(in *termInput) ref.Val { return types.String(in.request.Host) }},
	{name: "request.path", kind: cel.StringType, size: 2048, get: func(in *termInput) ref.Val { return types.String(in.request.Path) }},
	{name: "request.headers", kind: texts, size: 64, item: 1024, get: (*termInput).headers},
	{name: "request.query", kind: texts, size: 64, item: 1024, get: (*termInput).query},
	{name: "request.client_ip", kind: cel.StringType, size: 45, get: (*termInput).clientIP},
	{name: "request.time", kind: cel.TimestampType, size: 1, get: func(in *termInput) ref.Val { return instant(in.now) }},
	{name: "client.id", kind: cel.StringType, size: 64, get: func(in *termInput) ref.Val { return types.String(in.verdict.Credential.ID) }},
	{name: "client.kind", kind: cel.StringType, size: 16, get: func(*termInput) ref.Val { return types.String("api_key") }},
	{name: "license.id", kind: cel.StringType, size: 64, get: func(in *termInput) ref.Val { return types.String(in.verdict.License.ID) }},
	{name: "license.status", kind: cel.StringType, size: 16, get: (*termInput).status},
	{name: "license.plan", kind: cel.StringType, size: 64, get: func(in *termInput) ref.Val { return types.String(in.verdict.Plan) }},
	{name: "license.plan_version", kind: cel.IntType, size: 1, get: func(in *termInput) ref.Val { return types.Int(in.verdict.PlanVersion) }},
	{name: "license.starts_at", kind: cel.TimestampType, size: 1, get: func(in *termInput) ref.Val { return instant(in.verdict.License.StartsAt) }},
	{name: "license.ends_at", kind: cel.TimestampType, size: 1, get: (*termInput).endsAt},
	{name: "customer.id", kind: cel.StringType, size: 64, get: func(in *termInput) ref.Val { return types.String(in.verdict.Customer.ID) }},
	{name: "customer.external_id", kind: cel.StringType, size: 200, get: func(in *termInput) ref.Val { return types.String(in.verdict.Customer.ExternalID) }},
	{name: "plan.key", kind: cel.StringType, size: 64, get: func(in *termInput) ref.Val { return types.String(in.verdict.Plan) }},
	{name: "plan.version", kind: cel.IntType, size: 1, get: func(in *termInput) ref.Val { return types.Int(in.verdict.PlanVersion) }},
	{name: "plan.features", kind: cel.ListType(cel.StringType), size: 256, item: 64, get: (*termInput).features},
	{name: "usage", kind: cel.MapType(cel.StringType, cel.IntType), size: 64, item: 64, get: (*termInput).usage},
	{name: "now", kind: cel.TimestampType, size: 1, get: func(in *termInput) ref.Val { return instant(in.now) }},
}

// TermNames are the names that conditions may use.
func TermNames() []string {
	var all []string
	for _, n := range termNames {
		all = append(all, n.name)
	}
	return all
}

// termGetters finds what a name is.
var termGetters = func() map[string]func(*termInput) ref.Val {
	m := map[string]func(*termInput) ref.Val{}
	for _, n := range termNames {
		m[n.name] = n.get
	}
	return m
}()

// termInput is what the conditions of one request see. Maps are made when they are first asked for.
type termInput struct {
	state    *State
	request  *Request
	verdict  *Verdict
	accounts Accounts
	now      time.Time

	made [3]ref.Val // headers, query, usage
}

// ResolveName implements cel.Activation.
func (in *termInput) ResolveName(name string) (any, bool) {
	get, ok := termGetters[name]
	if !ok {
		return nil, false
	}
	return get(in), true
}

// Parent implements cel.Activation.
func (in *termInput) Parent() cel.Activation { return nil }

func (in *termInput) once(i int, f func() ref.Val) ref.Val {
	if in.made[i] == nil {
		in.made[i] = f()
	}
	return in.made[i]
}

// withheldHeaders carry credentials, or are Tollgate's own: a condition could be made to tell what is in them, a character at a time.
var withheldHeaders = []string{"authorization", "cookie", "proxy-authorization", "x-api-key"}

func withheld(lower string) bool {
	return slices.Contains(withheldHeaders, lower) || strings.HasPrefix(lower, "tollgate-")
}

// headers: fields of one name are one list (RFC 9110, 5.3). Names that an upstream might fold into a withheld one are left out with it.
func (in *termInput) headers() ref.Val {
	return in.once(0, func() ref.Val {
		m := map[string]string{}
		if d := in.request.Details; d != nil {
			all := d.Header()
			// Two spellings of a name that net/http keeps apart come in one order, whatever the map's.
			for _, name := range slices.Sorted(maps.Keys(all)) {
				lower := strings.ToLower(name)
				if withheld(strings.Map(hyphens, lower)) {
					continue
				}
				value := strings.Join(all[name], ", ")
				if before, twice := m[lower]; twice {
					value = before + ", " + value
				}
				m[lower] = value
			}
		}
		return types.NewStringStringMap(types.DefaultTypeAdapter, m)
	})
}

func hyphens(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// query: the first value of each name. One that cannot be read is an error to whatever looks at it.
func (in *termInput) query() ref.Val {
	return in.once(1, func() ref.Val {
		m := map[string]string{}
		if d := in.request.Details; d != nil {
			all, err := d.Query()
			if err != nil {
				return types.WrapErr(err)
			}
			for name, values := range all {
				if len(values) > 0 {
					m[name] = values[0]
				}
			}
		}
		return types.NewStringStringMap(types.DefaultTypeAdapter, m)
	})
}

func (in *termInput) clientIP() ref.Val {
	if d := in.request.Details; d != nil {
		return types.String(d.ClientIP())
	}
	return types.String("")
}

// status: the other statuses end before terms are looked at.
func (in *termInput) status() ref.Val {
	if in.verdict.License.PastDue {
		return types.String("past_due")
	}
	return types.String("active")
}

// endOfTime is as late as a time can be of which durations can be made.
var endOfTime = time.Unix(0, math.MaxInt64).UTC()

// endsAt of an open-ended licence is the end of time, so that comparing it says what it means.
func (in *termInput) endsAt() ref.Val {
	if at := in.verdict.License.EndsAt; !at.IsZero() && at.Before(endOfTime) {
		return instant(at)
	}
	return instant(endOfTime)
}

func (in *termInput) features() ref.Val {
	var keys []string
	if all := in.verdict.Features(); all != "" {
		keys = strings.Split(all, ",")
	}
	return types.NewStringList(types.DefaultTypeAdapter, keys)
}

// usage is what this node has spent and counted of each meter in its current period, since it started. Every meter is there.
func (in *termInput) usage() ref.Val {
	return in.once(2, func() ref.Val {
		m := make(map[string]int64, len(in.state.meters))
		for key := range in.state.meters {
			m[key] = 0
		}
		in.accounts.Account(in.verdict.License.ID).usage(m, in.verdict.phase.CounterGeneration, in.now)
		return types.DefaultTypeAdapter.NativeToValue(m)
	})
}

// usage puts units of the periods that contain now into m, by meter.
func (a *Account) usage(m map[string]int64, generation uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.quotas {
		if l := &a.quotas[i]; l.generation == generation && l.span.Contains(now) {
			m[l.meter] = max(m[l.meter], l.spent+l.used)
		}
	}
}

func instant(t time.Time) ref.Val { return types.Timestamp{Time: t} }
