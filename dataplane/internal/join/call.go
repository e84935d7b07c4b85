package join

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	service = "/tollgate.join.v1.JoinService/"
	// callTimeout bounds one call, maxAnswer what is read of its answer.
	callTimeout = 15 * time.Second
	maxAnswer   = 1 << 20
)

// refusal is what the control plane says no by. It is final: the same call again gets the same.
type refusal struct{ Code, Message string }

func (r *refusal) Error() string { return fmt.Sprintf("%s (%s)", r.Message, r.Code) }

// passing are the codes of answers that may be others a moment later.
var passing = map[string]bool{
	"unavailable": true, "deadline_exceeded": true, "resource_exhausted": true, "aborted": true, "canceled": true, "internal": true, "unknown": true,
}

// final says whether err is an answer that stays.
func final(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !passing[r.Code]
}

// call makes a unary call of the service by the Connect protocol.
func call(ctx context.Context, server, method string, req, res proto.Message) error {
	body, err := proto.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(server, "/")+service+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/proto")
	r.Header.Set("Connect-Protocol-Version", "1")
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		// Whoever redirects must not get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	kind := answer.Header.Get("Content-Type")
	switch {
	case answer.StatusCode == http.StatusOK && strings.HasPrefix(kind, "application/proto"):
		if err := proto.Unmarshal(raw, res); err != nil {
			return fmt.Errorf("decode the answer: %w", err)
		}
		return nil
	case strings.HasPrefix(kind, "application/json"):
		no := &refusal{}
		if err := json.Unmarshal(raw, no); err == nil && no.Code != "" {
			return no
		}
	}
	// Something in between, as a load balancer whose control planes are away.
	return fmt.Errorf("%s answers %s, which is no answer of a control plane", server, answer.Status)
}
