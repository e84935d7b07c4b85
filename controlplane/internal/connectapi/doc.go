// Package connectapi serves the admin API, tollgate.admin.v1, over Connect, gRPC and gRPC-Web.
//
// It is an adapter: it authenticates, validates, converts and asks the domain. A request goes through
//
//	cross-origin protection → caller (token, role, permission; before the body is read) → strict decoding →
//	recovery → validation (the limits in the protos) → handler → domain
//
// and every error that comes back goes through one mapping (error.go). What a caller needs to hold stands in
// the protos as an option of each method; a method without it is refused to everybody.
//
// Handlers are safe for concurrent use. They hold no state.
package connectapi
