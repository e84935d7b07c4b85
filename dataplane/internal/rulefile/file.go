package rulefile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
)

func (s *Store) readFile(name string) ([]byte, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	payload, _, err := s.box.next(name, bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return payload, nil
}

// writeFile replaces a file whole.
func (s *Store) writeFile(name string, payload []byte, durable bool) error {
	err := s.replaceFile(name, payload, durable)
	if err == nil && durable {
		err = syncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// replaceFile leaves it to its caller to make the name durable.
func (s *Store) replaceFile(name string, payload []byte, durable bool) error {
	temp := s.path(name + tempEnd)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	// A chunk is large, and is not copied for its header: the file counts only when it has its name.
	header, body := s.box.sealed(name, payload)
	_, err = f.Write(header[:])
	if err == nil {
		_, err = f.Write(body)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, s.path(name))
	}
	if err != nil {
		_ = os.Remove(temp) // A full disk would stay full.
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
