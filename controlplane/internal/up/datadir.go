package up

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// dataDir is the folder of all state, held by this process alone.
type dataDir struct {
	path string
	lock *os.File
}

const elsewhere = "choose another by --data-dir or TOLLGATE_DATA_DIR"

// openDataDir makes the folder where it is missing and locks it. The lock ends with this process, however that ends.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the data dir %s cannot be made: %w: %s", path, bare(err), elsewhere)
	}
	if os.Geteuid() == 0 {
		if err := letEnter(path); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data dir %s cannot be written: %w: %s", path, bare(err), elsewhere)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("the data dir %s is in use by another `tollgate up`: stop that one, or %s", path, elsewhere), lock.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data dir %s: %w", path, err), lock.Close())
	}
	d := &dataDir{path: path, lock: lock}
	for _, sub := range []string{"logs", "nodes"} {
		if err := os.MkdirAll(d.join(sub), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("the data dir %s cannot be written: %w: %s", path, bare(err), elsewhere), d.Close())
		}
	}
	return d, nil
}

// letEnter lets the user that Postgres runs as pass through to its own folder; it can list nothing.
func letEnter(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the data dir: %w", err)
	}
	if err := os.Chmod(path, st.Mode().Perm()|0o011); err != nil {
		return fmt.Errorf("let Postgres into the data dir: %w", err)
	}
	return nil
}

// Close lets another process have the folder. Closing the file alone would leave it to a child that was forked and has not come to its program yet.
func (d *dataDir) Close() error {
	return errors.Join(syscall.Flock(int(d.lock.Fd()), syscall.LOCK_UN), d.lock.Close())
}

func (d *dataDir) join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// secret reads a secret kept in the folder, or makes and keeps one. What may hold it is only readable by this user.
func (d *dataDir) secret(name string, create func() (string, error)) (string, error) {
	raw, err := os.ReadFile(d.join(name))
	if err == nil {
		if s := strings.TrimSpace(string(raw)); s != "" {
			return s, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	s, err := create()
	if err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return s, replaceFile(d.join(name), []byte(s+"\n"))
}

// replaceFile writes a file of mode 0600 so that a reader finds the old content or the new one, whole.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	return nil
}

// bare is what went wrong without the operation and the path, which the message around it names.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}
