package licensing

// Aggregation says how a meter's units add up.
type Aggregation string

// The aggregations.
const (
	Count  Aggregation = "count"
	Sum    Aggregation = "sum"
	Max    Aggregation = "max"    // The highest value in a period.
	Unique Aggregation = "unique" // How many different values there are in a period.
)

// Meter says what is counted and how. Units are int64.
type Meter struct {
	Key         string
	DisplayName string
	Aggregation Aggregation // Fixed once created.
	Meta
}

// Adds reports whether each request adds its units. Only such units can be lent, and taken by a route.
func (a Aggregation) Adds() bool { return a == Count || a == Sum }

// Validate checks what callers set.
func (m *Meter) Validate() error {
	if err := checkKey("key", m.Key); err != nil {
		return err
	}
	if err := checkText("display_name", m.DisplayName, 200); err != nil {
		return err
	}
	switch m.Aggregation {
	case Count, Sum, Max, Unique:
		return nil
	case "":
		return invalid("aggregation", "is required: count, sum, max or unique")
	default:
		return invalid("aggregation", "%q is not an aggregation: use count, sum, max or unique", m.Aggregation)
	}
}
