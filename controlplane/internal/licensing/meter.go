package licensing

// Aggregation says how a meter's units add up.
type Aggregation string

// The aggregations.
const (
	Count  Aggregation = "count"
	Sum    Aggregation = "sum"
	Max    Aggregation = "max"    // Refused for now.
	Unique Aggregation = "unique" // Refused for now.
)

// Meter says what is counted and how. Units are int64.
type Meter struct {
	Key         string
	DisplayName string
	Aggregation Aggregation // Fixed once created.
	Meta
}

// Validate checks what callers set.
func (m *Meter) Validate() error {
	if err := checkKey("key", m.Key); err != nil {
		return err
	}
	if err := checkText("display_name", m.DisplayName, 200); err != nil {
		return err
	}
	switch m.Aggregation {
	case Count, Sum:
		return nil
	case Max, Unique:
		return invalid("aggregation", "%s is not supported yet: use count or sum", m.Aggregation)
	case "":
		return invalid("aggregation", "is required: count or sum")
	default:
		return invalid("aggregation", "%q is not an aggregation: use count or sum", m.Aggregation)
	}
}
