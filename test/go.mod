module tollgate/test

go 1.26.0

require (
	tollgate/controlplane v0.0.0
	tollgate/dataplane v0.0.0
	tollgate/gen v0.0.0
)

replace (
	tollgate/controlplane => ../controlplane
	tollgate/dataplane => ../dataplane
	tollgate/gen => ../gen
	tollgate/migrations => ../migrations
	tollgate/web => ../web
)
