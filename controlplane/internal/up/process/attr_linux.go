package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func attributes(credential *syscall.Credential, orphan syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential, Pdeathsig: orphan}
}

// descendants lists the processes below pid, as far as they can be seen.
func descendants(pid int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // It ended meanwhile.
		}
		// `pid (name) state parent …`, and the name may hold anything.
		_, rest, found := bytes.Cut(raw[max(0, bytes.LastIndexByte(raw, ')')):], []byte(") "))
		fields := bytes.Fields(rest)
		if !found || len(fields) < 2 {
			continue
		}
		parent, err1 := strconv.Atoi(string(fields[1]))
		child, err2 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for next := children[pid]; len(next) > 0; {
		all = append(all, next[0])
		next = append(next[1:], children[next[0]]...)
	}
	return all
}
