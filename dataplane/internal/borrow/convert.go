package borrow

import (
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

var kinds = map[decision.LoanKind]lendv1.LoanKind{
	decision.QuotaLoan: lendv1.LoanKind_LOAN_KIND_QUOTA,
	decision.RateLoan:  lendv1.LoanKind_LOAN_KIND_RATE,
}

func toAsk(a decision.Ask) *lendv1.Ask {
	return &lendv1.Ask{
		Key: &lendv1.LoanKey{
			Kind: kinds[a.Key.Kind], License: a.Key.License, Limit: a.Key.Limit,
			PeriodStart: a.Key.PeriodStart, PeriodEnd: a.Key.PeriodEnd, CounterGeneration: a.Key.Generation,
		},
		Spent: a.Spent, Returned: a.Returned, Waiting: a.Waiting, Want: a.Want,
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

func toAnswer(l *lendv1.Loan, ask decision.Ask) decision.Answer {
	return decision.Answer{
		Key: ask.Key, Granted: l.GetGranted(), Grant: l.GetGrant(), Asked: ask.Want,
		Exhausted:  l.GetState() == lendv1.LoanState_LOAN_STATE_EXHAUSTED,
		RetryAfter: l.GetRetryAfter().AsDuration(), Lives: l.GetLives().AsDuration(),
	}
}
