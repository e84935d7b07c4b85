package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Owner is the user that a cluster's processes run as. The zero value is whoever runs this process.
type Owner struct {
	Name   string
	uid    uint32
	gid    uint32
	groups []uint32
}

// other reports whether the owner is somebody else than this process's user.
func (o Owner) other() bool { return o.Name != "" }

// Credential is what a process of the owner is started with; nil for this process's user.
func (o Owner) Credential() *syscall.Credential {
	if !o.other() {
		return nil
	}
	return &syscall.Credential{Uid: o.uid, Gid: o.gid, Groups: o.groups}
}

// ChooseOwner says who runs the cluster in dir: this process's user, or, as Postgres refuses to run as root, the user who owns the cluster
// already, else `postgres`, else `nobody`.
func ChooseOwner(dir string) (Owner, error) {
	if os.Geteuid() != 0 {
		return Owner{}, nil
	}
	st, err := os.Stat(dir)
	if err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
			if u, err := user.LookupId(strconv.FormatUint(uint64(sys.Uid), 10)); err == nil {
				return ownerOf(u)
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Owner{}, fmt.Errorf("look at the Postgres folder: %w", err)
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return ownerOf(u)
		}
	}
	return Owner{}, errors.New("Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it as: start `up` as an ordinary user")
}

func ownerOf(u *user.User) (Owner, error) {
	o := Owner{Name: u.Username}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return o, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return o, fmt.Errorf("user %s: %w", u.Username, err)
	}
	o.uid, o.gid, o.groups = uint32(uid), uint32(gid), []uint32{uint32(gid)}
	ids, err := u.GroupIds()
	if err != nil {
		return o, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil && uint32(g) != o.gid {
			o.groups = append(o.groups, uint32(g))
		}
	}
	return o, nil
}

// Enter says, in one line that tells what to do, which folder on the way to path (which exists) the owner cannot enter.
func (o Owner) Enter(path, what, remedy string) error {
	if !o.other() {
		return nil
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	dir := "/"
	for _, part := range strings.Split(resolved, "/") {
		dir = filepath.Join(dir, part)
		st, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if !o.mayEnter(st) {
			return fmt.Errorf("Postgres refuses to run as root, so it runs as user %s, who cannot enter %s on the way to %s %s: %s, or `chmod o+x %s`", o.Name, dir, what, resolved, remedy, dir)
		}
	}
	return nil
}

func (o Owner) mayEnter(st os.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := st.Mode().Perm()
	switch {
	case sys.Uid == o.uid:
		return mode&0o100 != 0
	case slices.Contains(o.groups, sys.Gid):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// give makes path the owner's.
func (o Owner) give(path string) error {
	if !o.other() {
		return nil
	}
	return os.Chown(path, int(o.uid), int(o.gid))
}
