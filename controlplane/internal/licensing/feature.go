package licensing

// FeatureType is the kind of a feature.
type FeatureType string

// The feature types.
const (
	Boolean FeatureType = "boolean"
	Static  FeatureType = "static" // Carries a value.
	Metered FeatureType = "metered"
)

// Feature is a capability that plans grant.
type Feature struct {
	Key         string
	DisplayName string
	Type        FeatureType // Fixed once created.
	Meter       string      // Of a metered feature: the meter's key. Fixed once created.
	Meta
}

// Validate checks what callers set, but not that the meter exists.
func (f *Feature) Validate() error {
	if err := checkKey("key", f.Key); err != nil {
		return err
	}
	if err := checkText("display_name", f.DisplayName, 200); err != nil {
		return err
	}
	switch f.Type {
	case Boolean, Static:
		if f.Meter != "" {
			return invalid("meter", "a %s feature has no meter", f.Type)
		}
		return nil
	case Metered:
		if f.Meter == "" {
			return invalid("meter", "a metered feature needs a meter")
		}
		return checkKey("meter", f.Meter)
	case "":
		return invalid("type", "is required: boolean, static or metered")
	default:
		return invalid("type", "%q is not a feature type: use boolean, static or metered", f.Type)
	}
}
