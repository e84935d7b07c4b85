package dataplane

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// maxGarbage bounds what a node holds beside its rules until the next collection. Go's default lets garbage grow to as much as lives, which of a
	// million licences would be twice the memory; and a collection of rules is cheap, as they hold few pointers.
	maxGarbage = 48 << 20
	// leastPercent keeps collections from following each other where the rules are very large.
	leastPercent = 10
	// idleTooMuch is when memory that is not used goes back at once: after a snapshot was read.
	idleTooMuch = 128 << 20
	memoryEvery = 250 * time.Millisecond
)

// percent is how much garbage there may be for what lives (GOGC).
func percent(live uint64) int {
	if live <= maxGarbage {
		return 100
	}
	return max(leastPercent, int(maxGarbage*100/live))
}

// boundMemory keeps the node's memory near what its rules take, until ctx ends. Where GOGC is set, whoever set it decides.
func boundMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	set := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		if p := percent(samples[0].Value.Uint64()); p != set {
			debug.SetGCPercent(p)
			set = p
		}
		if samples[1].Value.Uint64() > idleTooMuch {
			debug.FreeOSMemory()
		}
	}
}
