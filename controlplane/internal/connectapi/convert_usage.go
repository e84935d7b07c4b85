package connectapi

import (
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func fromUsageEvent(e *adminv1.UsageEvent) licensing.UsageEvent {
	return licensing.UsageEvent{
		Source: e.GetSource(), ID: e.GetId(), SpecVersion: e.GetSpecversion(), Type: e.GetType(), Subject: e.GetSubject(),
		Time: fromTime(e.GetTime()), Units: unitsText(e.GetData().GetFields()["units"]),
	}
}

// unitsText is data's units as they stand there. What they have to be is the domain's to say, event by event.
func unitsText(v *structpb.Value) string {
	switch k := v.GetKind().(type) {
	case nil:
		return ""
	case *structpb.Value_StringValue:
		if k.StringValue != "" {
			return k.StringValue
		}
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(k.NumberValue, 'f', -1, 64)
	}
	return "not a number"
}

func toIngestedEvent(e *licensing.IngestedEvent) *adminv1.IngestedEvent {
	return &adminv1.IngestedEvent{
		Source: e.Source, Id: e.ID, Outcome: toEnum[adminv1.IngestOutcome](e.Outcome), Code: string(e.Code), Message: e.Message, Field: e.Field,
	}
}

func toUsageCorrection(c *licensing.UsageCorrection) *adminv1.UsageCorrection {
	return &adminv1.UsageCorrection{
		Id: c.ID, License: c.License, Meter: c.Meter, Units: c.Units, Time: toTime(c.Minute), Reason: c.Reason, Actor: c.Actor,
		CreateTime: toTime(c.CreateTime),
	}
}
