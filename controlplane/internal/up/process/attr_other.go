//go:build unix && !linux

package process

import "syscall"

// attributes cannot tell this kernel to end a child whose supervisor was killed.
func attributes(credential *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}

// descendants are not looked for here: a server's own processes end when they find their parent gone.
func descendants(int) []int { return nil }
