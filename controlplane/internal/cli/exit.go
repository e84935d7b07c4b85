package cli

import "errors"

// statusError is an error that is no failure, but a finding that a script wants to tell from one.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string { return e.message }

// Status is the exit status of a command that returned err.
func Status(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	if err != nil {
		return 1
	}
	return 0
}

// statusDiffers is diff's where there are differences.
const statusDiffers = 2

// statusFindings is audit verify's where something is wrong.
const statusFindings = 5
