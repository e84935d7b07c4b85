package lender

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/internal/lending"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

func fromAsk(a *lendv1.Ask) decision.Ask {
	waiting := max(a.GetWaiting(), 0)
	return decision.Ask{
		Key: fromKey(a.GetKey()), Spent: max(a.GetSpent(), 0), Returned: max(a.GetReturned(), 0),
		Waiting: waiting, Want: max(a.GetWant(), waiting),
	}
}

func fromKey(k *lendv1.LoanKey) decision.LoanKey {
	key := decision.LoanKey{
		License: k.GetLicense(), Limit: k.GetLimit(), PeriodStart: k.GetPeriodStart(), PeriodEnd: k.GetPeriodEnd(), Generation: k.GetCounterGeneration(),
	}
	switch k.GetKind() {
	case lendv1.LoanKind_LOAN_KIND_QUOTA:
		key.Kind = decision.QuotaLoan
	case lendv1.LoanKind_LOAN_KIND_RATE:
		key.Kind = decision.RateLoan
	}
	return key
}

func toKey(k decision.LoanKey) *lendv1.LoanKey {
	key := &lendv1.LoanKey{License: k.License, Limit: k.Limit, PeriodStart: k.PeriodStart, PeriodEnd: k.PeriodEnd, CounterGeneration: k.Generation}
	switch k.Kind {
	case decision.QuotaLoan:
		key.Kind = lendv1.LoanKind_LOAN_KIND_QUOTA
	case decision.RateLoan:
		key.Kind = lendv1.LoanKind_LOAN_KIND_RATE
	}
	return key
}

// fill writes a loan into its answer. Units that are idle elsewhere are not exhausted until they were recalled.
func fill(res *lendv1.Loan, ask lending.Ask, loan lending.Loan, recalled bool) {
	res.Granted, res.Grant = loan.Granted, loan.Grant
	res.State = lendv1.LoanState_LOAN_STATE_OPEN
	short := ask.Want > 0 && (loan.Grant == 0 || loan.Grant < ask.Waiting)
	switch {
	case loan.Closed:
		res.State = lendv1.LoanState_LOAN_STATE_CLOSED
	case ask.Key.Kind == decision.QuotaLoan:
		if short && (recalled || loan.Idle == 0) {
			res.State = lendv1.LoanState_LOAN_STATE_EXHAUSTED
		}
	default:
		if short {
			res.State = lendv1.LoanState_LOAN_STATE_EXHAUSTED
		}
		res.RetryAfter = durationpb.New(loan.RetryAfter)
		res.Lives = durationpb.New(lending.Lives)
	}
}

// result is the metric's label of an answer.
func result(loan *lendv1.Loan) string {
	switch loan.GetState() {
	case lendv1.LoanState_LOAN_STATE_OPEN:
		return "open"
	case lendv1.LoanState_LOAN_STATE_EXHAUSTED:
		return "exhausted"
	case lendv1.LoanState_LOAN_STATE_CLOSED:
		return "closed"
	default:
		return "unknown"
	}
}
