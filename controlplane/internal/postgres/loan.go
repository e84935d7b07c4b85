package postgres

import (
	"context"
	"math"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// Loans implements licensing.Reader.
func (r reader) Loans(ctx context.Context, license string, after licensing.LoanPlace, limit int) ([]licensing.Loan, error) {
	p := query.LoansParams{
		License: license, AfterMeter: after.Meter, AfterGeneration: int64(after.Generation), AfterStart: after.Start, AfterEnd: after.End,
		AfterBoot: after.Boot, PageSize: int32(limit),
	}
	return list(ctx, r, licensing.KindLicense, func(ctx context.Context, q *query.Queries) ([]query.LoansRow, error) { return q.Loans(ctx, p) }, toLoan)
}

func toLoan(r query.LoansRow) (licensing.Loan, error) {
	l := licensing.Loan{
		LoanPlace: licensing.LoanPlace{
			Meter: r.Meter, Generation: uint64(r.CounterGeneration), Start: r.PeriodStart, End: r.PeriodEnd, Boot: r.Boot,
		},
		Node: r.Node, Lent: r.Lent, Spent: min(r.Spent, r.Lent), PeriodStart: time.Unix(r.PeriodStart, 0).UTC(),
	}
	if r.PeriodEnd != math.MaxInt64 {
		l.PeriodEnd = time.Unix(r.PeriodEnd, 0).UTC()
	}
	if r.Silent {
		l.Stranded = l.Lent - l.Spent
	}
	return l, nil
}
