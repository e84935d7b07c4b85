// Package connectapi serves the admin API, tollgate.admin.v1, over Connect, gRPC, gRPC-Web and REST, with gRPC reflection,
// gRPC health, and a description of REST.
//
// It is an adapter: it authenticates, validates, converts and asks the domain. A request goes through
//
//	cross-origin protection → of REST: procedure found → caller (token, role, permission; before the body is read) →
//	strict decoding → recovery → validation (the limits in the protos) → handler → domain
//
// REST is transcoded in front of the gate, into calls of procedures (rest.go): there is one gate, it knows procedures
// only, and no handler can be reached around it. The gate answers before the transcoder reads a body.
//
// and every error that comes back goes through one mapping (error.go). What a caller needs to hold stands in
// the protos as an option of each method; a method without it is refused to everybody.
//
// Handlers are safe for concurrent use. They hold no state.
package connectapi
