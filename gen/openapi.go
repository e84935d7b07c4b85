// Package gen holds what is generated from the protos.
package gen

import _ "embed"

// OpenAPI describes the REST form of the admin API, as YAML.
//
//go:embed openapi/openapi.yaml
var OpenAPI []byte
