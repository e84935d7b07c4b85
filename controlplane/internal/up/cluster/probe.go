package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// probeTimeout bounds one probe.
const probeTimeout = 2 * time.Second

// Probe succeeds once the server at addr takes connections: it begins one (PostgreSQL's protocol 3.0, message flow "Start-up") and looks
// whether the answer is a question for a password, or an error such as "the database system is starting up".
func Probe(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	body := "user\x00" + superuser + "\x00database\x00" + database + "\x00\x00"
	hello := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	hello = binary.BigEndian.AppendUint32(hello, 3<<16)
	if _, err := conn.Write(append(hello, body...)); err != nil {
		return err
	}
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("read Postgres's answer: %w", err)
	}
	switch head[0] {
	case 'R':
		return nil
	case 'E':
		return refusal(conn, int64(binary.BigEndian.Uint32(head[1:]))-4)
	}
	return errors.New("what answers is not Postgres")
}

// refusal reads an ErrorResponse: fields of a type byte and text, each ended by NUL; M is the message.
func refusal(r io.Reader, size int64) error {
	raw, err := io.ReadAll(io.LimitReader(r, min(size, 4096)))
	if err != nil {
		return fmt.Errorf("read Postgres's refusal: %w", err)
	}
	for field := range strings.SplitSeq(string(raw), "\x00") {
		if message, ok := strings.CutPrefix(field, "M"); ok {
			return fmt.Errorf("Postgres: %s", message)
		}
	}
	return errors.New("Postgres refuses connections")
}
