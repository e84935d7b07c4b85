package connectapi

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/licensing"
)

func TestReflection_TellsAnybodyWithATokenWhatThereIs(t *testing.T) {
	t.Parallel()
	a := setup(t)
	c := a.protocols()["gRPC"]
	for _, role := range []licensing.Role{licensing.Viewer, ""} {
		header := http.Header{}
		if role != "" {
			header.Set("Authorization", "Bearer "+a.token(role))
		}
		stream := grpcreflect.NewClient(c.http, a.url, connect.WithGRPC()).NewStream(t.Context(), grpcreflect.WithRequestHeaders(header))
		names, err := stream.ListServices()
		if role == "" {
			if connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("without a token: %v, %v", names, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range append(serviceNames(), "grpc.health.v1.Health") {
			if !slices.ContainsFunc(names, func(n protoreflect.FullName) bool { return string(n) == want }) {
				t.Errorf("%s is not among %v", want, names)
			}
		}
		files, err := stream.FileContainingSymbol("tollgate.admin.v1.CustomerService")
		if err != nil || len(files) == 0 {
			t.Errorf("%d files, %v", len(files), err)
		}
		_, _ = stream.Close()
	}
}

func TestHealth_ServesWithoutAToken(t *testing.T) {
	t.Parallel()
	a := setup(t)
	c := a.protocols()["gRPC"]
	health := grpchealth.NewClient(c.http, a.url, connect.WithGRPC())
	for _, name := range append(serviceNames(), "") {
		res, err := health.Check(t.Context(), &grpchealth.CheckRequest{Service: name})
		if err != nil || res.Status != grpchealth.StatusServing {
			t.Errorf("%q: %v, %v", name, res, err)
		}
	}
	if _, err := health.Check(t.Context(), &grpchealth.CheckRequest{Service: "none"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown service: %v", err)
	}
	// Nothing that a stranger could leave open.
	message := strings.NewReader("\x00\x00\x00\x00\x02{}")
	if res := a.send("/grpc.health.v1.Health/Watch", message, "Authorization", "", "Content-Type", "application/connect+json"); !strings.Contains(res.Body, "unimplemented") {
		t.Errorf("watch: %d %s", res.Status, res.Body)
	}
}

func TestOpenAPI_IsServedWithoutAToken(t *testing.T) {
	t.Parallel()
	a := setup(t)
	for method, want := range map[string]int{
		http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK, http.MethodPost: http.StatusMethodNotAllowed,
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, a.url+"/openapi.yaml", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want {
			t.Errorf("%s: %d, %v", method, res.StatusCode, err)
		}
		if method == http.MethodGet && (res.Header.Get("Content-Type") != "application/yaml" || !strings.HasPrefix(string(b), "openapi: 3.1.0\n")) {
			t.Errorf("%v %.60s", res.Header, b)
		}
	}
}
