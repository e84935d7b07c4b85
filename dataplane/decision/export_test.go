package decision

// Footprint is what the tables of a state hold: records, leaves, and bytes in leaves.
func (s *State) Footprint() (records, leaves, bytes int) {
	var walk func(p *page)
	walk = func(p *page) {
		for i, kid := range p.kids {
			if i == 0 || kid != p.kids[i-1] {
				walk(kid)
			}
		}
		if p.kids == nil {
			leaves++
			bytes += len(p.data)
		}
	}
	for _, t := range []*table{&s.customers, &s.licenses, &s.credentials, &s.imported} {
		records += t.count
		if t.root != nil {
			walk(t.root)
		}
	}
	return records, leaves, bytes
}

// NewPages is how many pages of o are not in s, and how many there are.
func (s *State) NewPages(o *State) (other, all int) {
	in := map[*page]bool{}
	var walk func(p *page, f func(*page))
	walk = func(p *page, f func(*page)) {
		if p == nil {
			return
		}
		f(p)
		for i, kid := range p.kids {
			if i == 0 || kid != p.kids[i-1] {
				walk(kid, f)
			}
		}
	}
	for _, t := range []*table{&s.customers, &s.licenses, &s.credentials, &s.imported} {
		walk(t.root, func(p *page) { in[p] = true })
	}
	for _, t := range []*table{&o.customers, &o.licenses, &o.credentials, &o.imported} {
		walk(t.root, func(p *page) {
			all++
			if !in[p] {
				other++
			}
		})
	}
	return other, all
}
