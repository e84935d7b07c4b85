package decision

import "time"

// Moment is one moment on a node's two clocks. They are never compared with each other.
type Moment struct {
	// Date is what periods, credentials and licences are dated by. It never goes back, but may stand still or leap.
	Date time.Time
	// Tick counts elapsed time, and nothing sets it: loans' deadlines and demand are of it. Where it starts means nothing.
	Tick time.Time
}

// At is a moment on clocks that agree.
func At(t time.Time) Moment { return Moment{t, t} }
