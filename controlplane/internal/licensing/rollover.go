package licensing

// Rollover is how many units of a period are carried to the next: what is left of limit and of what was carried in, up to
// carryCap. What was used beyond, after a limit was lowered, is not owed: nothing is carried then. No argument is negative or
// above MaxQuota.
func Rollover(limit, carryCap, rolledIn, used int64) int64 {
	return min(carryCap, max(0, limit+rolledIn-used))
}
