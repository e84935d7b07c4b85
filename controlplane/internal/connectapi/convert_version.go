package connectapi

import (
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toValue(v *licensing.Value) *structpb.Value {
	switch v.Kind {
	case licensing.TextValue:
		return structpb.NewStringValue(v.Text)
	case licensing.NumberValue:
		return structpb.NewNumberValue(v.Number)
	case licensing.BoolValue:
		return structpb.NewBoolValue(v.Bool)
	default:
		return nil
	}
}

// fromValue keeps the kind of what is no scalar, so that the domain can refuse it by name.
func fromValue(v *structpb.Value) licensing.Value {
	if v == nil {
		return licensing.Value{}
	}
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return licensing.Value{Kind: licensing.TextValue, Text: k.StringValue}
	case *structpb.Value_NumberValue:
		return licensing.Value{Kind: licensing.NumberValue, Number: k.NumberValue + 0} // Not -0.
	case *structpb.Value_BoolValue:
		return licensing.Value{Kind: licensing.BoolValue, Bool: k.BoolValue}
	case *structpb.Value_ListValue:
		return licensing.Value{Kind: "list"}
	case *structpb.Value_StructValue:
		return licensing.Value{Kind: "mapping"}
	default:
		return licensing.Value{Kind: "null"}
	}
}

func toTier(t *licensing.Tier) *adminv1.Tier {
	return &adminv1.Tier{UpTo: t.UpTo, UnitPrice: t.UnitPrice, FlatPrice: t.FlatPrice}
}

func fromTier(t *adminv1.Tier) licensing.Tier {
	return licensing.Tier{UpTo: t.GetUpTo(), UnitPrice: t.GetUnitPrice(), FlatPrice: t.GetFlatPrice()}
}

func toVersionChange(c *licensing.VersionChange) *adminv1.PlanVersionChange {
	return &adminv1.PlanVersionChange{Path: c.Path, Kind: string(c.Kind), Before: c.Before, After: c.After}
}

func toPreview(p *licensing.Preview) *adminv1.PreviewPublishResponse {
	return &adminv1.PreviewPublishResponse{
		Gained: p.Gained, Lost: p.Lost, Moved: p.Moved, OverQuota: p.OverQuota, OverQuotaPartial: p.Partial, Affected: p.Affected,
	}
}
