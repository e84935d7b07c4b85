module tollgate/dataplane

go 1.26.0

require (
	google.golang.org/protobuf v1.36.12
	tollgate/gen v0.0.0
)

replace tollgate/gen => ../gen
