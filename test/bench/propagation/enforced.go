package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// enforced is when nodes said that they enforce an epoch. A node says so at once; of epochs that come close together it may name the last only.
type enforced struct {
	nodes int

	mu   sync.Mutex
	said map[string][]report // By node, in order.
	news chan struct{}       // Closed at the next report.
}

type report struct {
	number uint64
	at     time.Time
}

func watch(nc *nats.Conn, nodes int) (*enforced, error) {
	e := &enforced{nodes: nodes, said: map[string][]report{}, news: make(chan struct{})}
	_, err := nc.Subscribe("tollgate.fleet.*", func(m *nats.Msg) {
		at := time.Now()
		var s rulesv1.NodeStatus
		if proto.Unmarshal(m.Data, &s) != nil {
			return // Not a node's.
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		list := e.said[s.GetNode()]
		if len(list) > 0 && list[len(list)-1].number >= s.GetNumber() {
			return
		}
		e.said[s.GetNode()] = append(list, report{s.GetNumber(), at})
		close(e.news)
		e.news = make(chan struct{})
	})
	if err != nil {
		return nil, err
	}
	return e, nc.Flush()
}

// locked is when the last node said that it enforces an epoch; false while one has not. The lock is held.
func (e *enforced) locked(number uint64) (last time.Time, ok bool) {
	if len(e.said) < e.nodes {
		return last, false
	}
	for _, list := range e.said {
		if len(list) == 0 || list[len(list)-1].number < number {
			return last, false
		}
		for _, r := range list {
			if r.number >= number {
				if r.at.After(last) {
					last = r.at
				}
				break
			}
		}
	}
	return last, true
}

// await waits for that.
func (e *enforced) await(ctx context.Context, number uint64) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		e.mu.Lock()
		last, ok := e.locked(number)
		news := e.news
		e.mu.Unlock()
		if ok {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("wait until all nodes enforce epoch %d: %w", number, ctx.Err())
		case <-news:
		}
	}
}
