package spool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	headName  = "head"
	logEnd    = ".log"
	sealedEnd = ".seg"
	tempEnd   = ".tmp"
)

// head is the durable end of what a boot has receipts for.
type head struct {
	Ordinal uint64 `json:"ordinal"`
	Boot    string `json:"boot"`
	// Number of the last segment with a receipt; 0: none.
	Number uint64 `json:"number"`
	// Hash is what the next segment's previous_hash is.
	Hash []byte `json:"hash"`
	// Next is the next segment's first sequence.
	Next uint64 `json:"next_sequence"`
	// Final: the boot is closed, no segment follows.
	Final bool `json:"final"`
}

// bootDir is one boot's directory. Ordinals grow with each boot of a node, and are never used again.
type bootDir struct {
	path    string
	ordinal uint64
	boot    string
}

func bootDirName(ordinal uint64, boot string) string { return fmt.Sprintf("%010d-%s", ordinal, boot) }

func (d bootDir) file(number uint64, end string) string {
	return filepath.Join(d.path, fmt.Sprintf("%020d%s", number, end))
}

// list returns the numbers of the files with an ending, in order.
func (d bootDir) list(end string) ([]uint64, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), end)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is not a file of a spool", filepath.Join(d.path, e.Name()))
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers, nil
}

// size is that of all log files and segments.
func (d bootDir) size() (int64, error) {
	var size int64
	for _, end := range []string{logEnd, sealedEnd} {
		numbers, err := d.list(end)
		if err != nil {
			return 0, err
		}
		for _, n := range numbers {
			info, err := os.Stat(d.file(n, end))
			if err != nil {
				return 0, err
			}
			size += info.Size()
		}
	}
	return size, nil
}

// makeBoot makes the directory of a new boot, whose first segment chains to previous.
func makeBoot(dir string, ordinal uint64, boot string, previous []byte) (bootDir, error) {
	d := bootDir{path: filepath.Join(dir, bootDirName(ordinal, boot)), ordinal: ordinal, boot: boot}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		return bootDir{}, err
	}
	h := head{Ordinal: ordinal, Boot: boot, Hash: previous, Next: 1}
	if err := writeHead(d.path, h); err != nil {
		return bootDir{}, err
	}
	return d, syncDir(dir)
}

// listBoots returns the directories of boots, oldest first.
func listBoots(dir string) ([]bootDir, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var boots []bootDir
	for _, e := range entries {
		ordinal, boot, ok := strings.Cut(e.Name(), "-")
		if !e.IsDir() || !ok || !bootForm.MatchString(boot) {
			continue
		}
		n, err := strconv.ParseUint(ordinal, 10, 64)
		if err != nil {
			continue
		}
		boots = append(boots, bootDir{path: filepath.Join(dir, e.Name()), ordinal: n, boot: boot})
	}
	slices.SortFunc(boots, func(a, b bootDir) int { return cmp.Compare(a.ordinal, b.ordinal) })
	return boots, nil
}

// readHead reads a directory's head. False where there is none.
func readHead(dir string) (head, bool, error) {
	raw, err := os.ReadFile(filepath.Join(dir, headName))
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, false, nil
	}
	if err != nil {
		return head{}, false, err
	}
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return head{}, false, fmt.Errorf("read %s: %w", filepath.Join(dir, headName), err)
	}
	return h, true, nil
}

func writeHead(dir string, h head) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	return writeDurably(filepath.Join(dir, headName), raw)
}

// writeDurably gives path its content in one step: whoever finds the name finds all of it, power cuts included.
func writeDurably(path string, content []byte) error {
	temp := path + tempEnd
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir makes the directory and takes it for this process. The lock ends with the file's closing or the
// process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock spool directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, fmt.Errorf("spool directory %s is in use by another process; give each node its own data directory", dir)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock spool directory %s: %w", dir, err)
	}
	return f, nil
}

// unlockDir gives the directory up. Closing alone would leave it to a child process that was forked and has not come to
// its exec yet.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
