package connectapi

import (
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"tollgate/controlplane/internal/auth"
	"tollgate/gen"
)

// openAPIPath is where the description of REST is. It holds no secret, and so needs no token.
const openAPIPath = "/openapi.yaml"

func openAPI(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(gen.OpenAPI) // Whoever goes away needs no answer.
}

// serviceNames are those of the API.
func serviceNames() (names []string) {
	for _, s := range services() {
		names = append(names, string(s.FullName()))
	}
	return names
}

// reflection serves gRPC reflection, which anybody with a token may call, to mux, and says so in permissions.
func reflection(mux *http.ServeMux, permissions permissions, options connect.HandlerOption) {
	reflector := grpcreflect.NewStaticReflector(append(serviceNames(), grpchealth.HealthV1ServiceName)...)
	for _, serve := range []func(*grpcreflect.Reflector, ...connect.HandlerOption) (string, http.Handler){
		grpcreflect.NewHandlerV1, grpcreflect.NewHandlerV1Alpha,
	} {
		path, handler := serve(reflector, options)
		mux.Handle(path, handler)
		permissions[path+"ServerReflectionInfo"] = auth.Authenticated
	}
}

// healthPath is where gRPC health is.
const healthPath = "/" + grpchealth.HealthV1ServiceName + "/"

// health answers SERVING to anybody who gets an answer at all, as load balancers have no token. Watch is not
// served: a stream that anybody may open is one that anybody may leave open.
func health(options connect.HandlerOption) http.Handler {
	checker := struct{ grpchealth.Checker }{grpchealth.NewStaticChecker(serviceNames()...)}
	_, handler := grpchealth.NewHandler(checker, options)
	return handler
}
