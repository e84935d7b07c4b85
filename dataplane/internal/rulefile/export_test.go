package rulefile

// BreakLog makes the log's file take nothing more.
func (s *Store) BreakLog() { s.log.Close() }
