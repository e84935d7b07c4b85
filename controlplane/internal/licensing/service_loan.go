package licensing

import (
	"context"
	"encoding/json"
	"time"
)

// Loan is units of a hard quota that one boot of a node was lent, and has not given back.
type Loan struct {
	LoanPlace
	Node        string // Empty while nothing of the boot's log has come.
	Lent, Spent int64  // Spent is a part of Lent, as far as the boot has said.
	// Stranded is what a boot holds that has not been heard of for a while, and has not closed: it is free again when its log is in.
	Stranded    int64
	PeriodStart time.Time
	PeriodEnd   time.Time // Zero: of a lifetime.
}

// LoanPlace orders a licence's loans. Start and End are the period's, in Unix seconds.
type LoanPlace struct {
	Meter      string
	Generation uint64
	Start, End int64
	Boot       string
}

// ListLoans lists what boots hold of a licence's hard quotas, by meter, period and boot. It takes no filter.
func (s *Service) ListLoans(ctx context.Context, license string, l List) (Page[Loan], error) {
	if err := checkText("license", license, maxKey); err != nil {
		return Page[Loan]{}, err
	}
	var after LoanPlace
	if l.After != "" {
		if err := json.Unmarshal([]byte(l.After), &after); err != nil {
			return Page[Loan]{}, invalid("page_token", "is not one of this list")
		}
	}
	if _, err := s.store.License(ctx, license); err != nil {
		return Page[Loan]{}, at("license", err)
	}
	return page(l, nil,
		func(l List) ([]Loan, error) { return s.store.Loans(ctx, license, after, l.PageSize) },
		func(x *Loan) string {
			place, _ := json.Marshal(x.LoanPlace) // Strings and numbers.
			return string(place)
		})
}
