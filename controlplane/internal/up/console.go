package up

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// console tells people how far things are: a line a step, with the time since the start.
type console struct {
	mu    sync.Mutex
	w     io.Writer
	began time.Time
	color bool
}

func newConsole(w io.Writer) *console {
	return &console{w: w, began: time.Now(), color: isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

// step says that something is done, or happened.
func (c *console) step(name, format string, args ...any) {
	c.line("", name, format, args...)
}

// trouble says that something went wrong.
func (c *console) trouble(name, format string, args ...any) {
	c.line("\x1b[33m", name, format, args...)
}

func (c *console) line(color, name, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if c.color && color != "" {
		text = color + text + "\x1b[0m"
	}
	fmt.Fprintf(c.w, "%6.1f s  %-10s  %s\n", time.Since(c.began).Seconds(), name, text)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
