package licensing

import "context"

// The recorder's writes of terms and issuers.

func (r *recorder) InsertTerm(ctx context.Context, t Term) (Term, error) {
	out, err := r.Tx.InsertTerm(ctx, t)
	return inserted(r, KindTerm, out.Key, out, err)
}

func (r *recorder) UpdateTerm(ctx context.Context, t Term) (Term, error) {
	return updated(r, KindTerm, t.Key,
		func() (Term, error) { return r.Term(ctx, t.Key) }, func() (Term, error) { return r.Tx.UpdateTerm(ctx, t) })
}

func (r *recorder) InsertIssuer(ctx context.Context, i Issuer) (Issuer, error) {
	out, err := r.Tx.InsertIssuer(ctx, i)
	return inserted(r, KindIssuer, out.Key, out, err)
}

func (r *recorder) UpdateIssuer(ctx context.Context, i Issuer) (Issuer, error) {
	return updated(r, KindIssuer, i.Key,
		func() (Issuer, error) { return r.Issuer(ctx, i.Key) }, func() (Issuer, error) { return r.Tx.UpdateIssuer(ctx, i) })
}
