module tollgate/controlplane

go 1.26.0

require (
	connectrpc.com/connect v1.21.1
	github.com/jackc/pgx/v5 v5.12.0
	github.com/nats-io/nats.go v1.55.0
	google.golang.org/protobuf v1.36.12
	tollgate/dataplane v0.0.0
	tollgate/gen v0.0.0
	tollgate/migrations v0.0.0
	tollgate/web v0.0.0
)

replace (
	tollgate/dataplane => ../dataplane
	tollgate/gen => ../gen
	tollgate/migrations => ../migrations
	tollgate/web => ../web
)
