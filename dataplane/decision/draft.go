package decision

import "slices"

// draft is one editor's work on tables. The pages that it made are its own until it ends, and are changed in place: so a first state is
// built without copying a page for each record.
type draft struct {
	opened []*page
	// came is how many bytes of records are in open pages, about.
	came int
	// trail is the way that was gone last.
	trail trail
	heads []byte // Memory that is used again.
}

// maxCame bounds what lies in open pages, which take more memory than closed ones.
const maxCame = 32 << 20

// trail is the way to a leaf. All pages on it are the draft's own.
type trail struct {
	inner [hashBits/fanBits + 1]*page
	depth int // How many of inner there are.
	leaf  *page
	hash  uint32
}

// parent is the leaf's, with its level and the leaf's first slot there, and how many slots the leaf stands in; nil: it is the root.
func (t *trail) parent() (p *page, level int, base, span uint32) {
	level = t.depth - 1
	if level < 0 {
		return nil, level, 0, 0
	}
	span = spanOf(t.leaf, level)
	return t.inner[level], level, slotOf(t.hash, level) &^ (span - 1), span
}

// spanOf is in how many slots of an inner page at a level a page stands.
func spanOf(p *page, level int) uint32 {
	if p.kids != nil {
		return 1
	}
	return 1 << (uint((level+1)*fanBits) - p.bits)
}

func (p *page) fill(base, span uint32, kid *page) {
	for i := base; i < base+span; i++ {
		p.kids[i] = kid
	}
}

func (d *draft) own(p *page) *page {
	if p.by == d {
		return p
	}
	c := *p
	c.by, c.kids = d, slices.Clone(p.kids)
	return &c
}

// reach makes the way to a hash's leaf the draft's own, and opens the leaf. The trail is good until the next call.
func (d *draft) reach(t *table, hash uint32) *trail {
	if t.root == nil {
		t.root = &page{by: d}
	}
	t.root = d.own(t.root)
	tr := &d.trail
	*tr = trail{leaf: t.root, hash: hash}
	for tr.leaf.kids != nil {
		node, level := tr.leaf, tr.depth
		slot := slotOf(hash, level)
		kid := node.kids[slot]
		if mine := d.own(kid); mine != kid {
			span := spanOf(mine, level)
			node.fill(slot&^(span-1), span, mine)
			kid = mine
		}
		tr.inner[level], tr.leaf = node, kid
		tr.depth++
	}
	d.open(tr.leaf)
	return tr
}

func (d *draft) open(p *page) {
	if p.open == nil {
		p.begin()
		d.opened = append(d.opened, p)
	}
}

// find is where a record is in an open leaf; false where it is not.
func (p *page) find(hash uint32, is func(record string) bool) (int, bool) {
	i := p.open.first(hash)
	for j := i; j < len(p.open.heads) && p.open.heads[j].hash == hash; j++ {
		if is(p.text(p.open.heads[j])) {
			return j, true
		}
	}
	return i, false
}

// put adds a record, in place of the one for which is holds. It returns that; empty where there was none.
func (d *draft) put(t *table, hash uint32, record []byte, r *rare, is func(record string) bool) (old string) {
	if d.came > maxCame {
		d.end()
	}
	d.came += len(record)
	tr := d.reach(t, hash)
	i, found := tr.leaf.find(hash, is)
	if found {
		old = tr.leaf.drop(i)
	} else {
		t.count++
	}
	tr.leaf.open.add(i, hash, record, r)
	for p := tr.leaf; len(p.open.heads) > maxRecords && p.bits < hashBits; p = tr.leaf {
		d.divide(t, tr)
		tr = d.reach(t, hash)
	}
	return old
}

// remove takes the record away for which is holds, and returns it; empty where there was none.
func (d *draft) remove(t *table, hash uint32, is func(record string) bool) (old string) {
	if t.root == nil {
		return ""
	}
	tr := d.reach(t, hash)
	i, found := tr.leaf.find(hash, is)
	if !found {
		return ""
	}
	old = tr.leaf.drop(i)
	t.count--
	d.unite(t, tr)
	return old
}

func (p *page) drop(i int) (record string) {
	h := p.open.heads[i]
	record = p.text(h)
	p.open.heads = slices.Delete(p.open.heads, i, i+1)
	delete(p.open.rare, h.at)
	return record
}

// divide makes two leaves of one, by the first bit that its records do not share.
func (d *draft) divide(t *table, tr *trail) {
	p := tr.leaf
	cut := p.open.first(tr.hash>>(hashBits-1-p.bits)<<(hashBits-1-p.bits) | 1<<(hashBits-1-p.bits))
	low := p.part(d, p.bits+1, 0, cut)
	high := p.part(d, p.bits+1, cut, len(p.open.heads))
	p.open = nil // It is nobody's any more.
	d.opened = append(d.opened, low, high)
	parent, _, base, span := tr.parent()
	if span > 1 {
		parent.fill(base, span/2, low)
		parent.fill(base+span/2, span/2, high)
		return
	}
	inner := &page{by: d, kids: make([]*page, fan)}
	inner.fill(0, fan/2, low)
	inner.fill(fan/2, fan/2, high)
	if parent == nil {
		t.root = inner
		return
	}
	parent.kids[base] = inner
}

// unite puts leaves together that divide would not have parted by far, so that a table that shrinks has no more pages than it needs.
func (d *draft) unite(t *table, tr *trail) {
	for {
		p := tr.leaf
		parent, level, base, span := tr.parent()
		if parent == nil {
			if len(p.open.heads) == 0 {
				t.root = nil
			}
			return
		}
		buddy := parent.kids[base^span]
		if buddy.kids != nil || buddy.bits != p.bits || len(p.open.heads)+buddy.size() > minRecords {
			return
		}
		buddy = d.own(buddy) // A copy: the page that it is of goes with its parent's slot.
		d.open(buddy)
		one, other := p, buddy
		if base&span != 0 {
			one, other = buddy, p
		}
		whole := one.part(d, p.bits-1, 0, len(one.open.heads))
		whole.take(other, 0, len(other.open.heads))
		one.open, other.open = nil, nil
		d.opened = append(d.opened, whole)
		tr.leaf = whole
		if whole.bits > uint(level*fanBits) {
			parent.fill(base&^span, 2*span, whole)
			continue
		}
		// It is all that there is below the parent, and takes its place.
		tr.depth--
		if tr.depth == 0 {
			t.root = whole
			continue
		}
		tr.inner[tr.depth-1].kids[slotOf(tr.hash, tr.depth-1)] = whole
	}
}

func (p *page) size() int {
	if p.open != nil {
		return len(p.open.heads)
	}
	return p.n
}

// end closes all pages. The draft may go on.
func (d *draft) end() {
	for _, p := range d.opened {
		if p.open != nil {
			d.heads = p.end(d.heads)
		}
	}
	d.opened, d.came, d.trail = nil, 0, trail{}
}
