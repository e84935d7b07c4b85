package natsserver

import (
	"fmt"
	"log/slog"
)

// serverLog hands what the server says to slog, and keeps why it could not start.
type serverLog struct {
	logger *slog.Logger
	fatal  chan string
}

func newServerLog(logger *slog.Logger) *serverLog {
	return &serverLog{logger: logger, fatal: make(chan string, 1)}
}

func (l *serverLog) Noticef(format string, v ...any) { l.logger.Info("nats", text(format, v)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.logger.Warn("nats", text(format, v)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.logger.Error("nats", text(format, v)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.logger.Debug("nats", text(format, v)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.logger.Debug("nats", text(format, v)) }

// Fatalf does not end the process: Start returns the reason.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.logger.Error("nats", text(format, v))
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func text(format string, v []any) slog.Attr { return slog.String("text", fmt.Sprintf(format, v...)) }
