package connectapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restPrefix is what every path of REST begins with.
const restPrefix = "/v1/"

// rest answers REST by the http rules in the protos: a request becomes a call of the procedure that its method and
// path name, and that call is made to calls, which is the gate. The gate so sees procedures only, whatever the
// protocol, and what matches no rule reaches nothing.
func rest(calls http.Handler) (http.Handler, error) {
	var all []*vanguard.Service
	for _, s := range services() {
		all = append(all, vanguard.NewServiceWithSchema(s, calls,
			// A gRPC call's body is read by its handler. Of a Connect GET it would be read here, before the gate.
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
			vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithMaxMessageBufferBytes(maxRequest),
		))
	}
	transcoder, err := vanguard.NewTranscoder(all, vanguard.WithCodec(newRESTJSON))
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = &restWriter{ResponseWriter: w}
		// What does not parse would be left out, of a filter too.
		query, err := url.ParseQuery(r.URL.RawQuery)
		text, _ := url.QueryUnescape(r.URL.RawQuery) // Parsed, so it unescapes.
		switch {
		case err != nil || !utf8.ValidString(text) || !utf8.ValidString(r.URL.Path):
			http.Error(w, "path or query are not UTF-8, or not escaped as URLs are", http.StatusBadRequest)
		case r.Header.Get("Content-Encoding") != "":
			// The transcoder would unpack it without a limit.
			http.Error(w, "a compressed body is not taken over REST: send it as it is", http.StatusUnsupportedMediaType)
		default:
			transcoder.ServeHTTP(w, withEvents(r).WithContext(context.WithValue(r.Context(), queryKey{}, query)))
		}
	}), nil
}

// restJSON is JSON as strictJSON is.
type restJSON struct{ vanguard.JSONCodec }

func newRESTJSON(types vanguard.TypeResolver) vanguard.Codec {
	return restJSON{vanguard.JSONCodec{
		MarshalOptions:   protojson.MarshalOptions{Resolver: types},
		UnmarshalOptions: protojson.UnmarshalOptions{Resolver: types},
	}}
}

func (c restJSON) Unmarshal(data []byte, m proto.Message) error {
	return invalidBody(c.JSONCodec.Unmarshal(data, m))
}

func (c restJSON) UnmarshalField(data []byte, m proto.Message, field protoreflect.FieldDescriptor) error {
	return invalidBody(c.JSONCodec.UnmarshalField(data, m, field))
}

// invalidBody has a code, as the transcoder gives it none.
func invalidBody(err error) error {
	if err == nil {
		return nil
	}
	return connect.NewError(connect.CodeInvalidArgument, errors.New(readable(err)))
}

// restWriter gives the transcoder's own refusals, which are plain text, the form that errors have.
type restWriter struct {
	http.ResponseWriter
	status int
	plain  bool
}

func (w *restWriter) WriteHeader(code int) {
	h := w.Header()
	w.status = code
	if code >= http.StatusBadRequest {
		w.plain = strings.HasPrefix(h.Get("Content-Type"), "text/plain")
		// With the refusal of a body the transcoder leaves what the call's answer would have had.
		h.Set("Content-Type", "application/json")
		for _, name := range []string{"Content-Length", "Grpc-Encoding", "Grpc-Accept-Encoding"} {
			h.Del(name)
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *restWriter) Write(p []byte) (int, error) {
	if !w.plain {
		return w.ResponseWriter.Write(p)
	}
	code, known := restCodes[w.status]
	if !known {
		code = connect.CodeInvalidArgument
	}
	b, err := protojson.Marshal(&status.Status{Code: int32(code), Message: strings.TrimSpace(string(p))})
	if err != nil {
		return 0, err
	}
	if _, err := w.ResponseWriter.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unwrap is for http.ResponseController, and for what flushes.
func (w *restWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var restCodes = map[int]connect.Code{
	http.StatusNotFound:            connect.CodeNotFound,
	http.StatusMethodNotAllowed:    connect.CodeUnimplemented,
	http.StatusInternalServerError: connect.CodeInternal,
}
