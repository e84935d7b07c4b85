package connectapi

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/internal/auth"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// services are the files whose services this package serves. A test holds it against all that is generated.
func services() []protoreflect.ServiceDescriptor {
	var all []protoreflect.ServiceDescriptor
	for _, file := range []protoreflect.FileDescriptor{
		adminv1.File_tollgate_admin_v1_access_service_proto,
		adminv1.File_tollgate_admin_v1_audit_service_proto,
		adminv1.File_tollgate_admin_v1_catalog_service_proto,
		adminv1.File_tollgate_admin_v1_credential_service_proto,
		adminv1.File_tollgate_admin_v1_customer_service_proto,
		adminv1.File_tollgate_admin_v1_decision_service_proto,
		adminv1.File_tollgate_admin_v1_fleet_service_proto,
		adminv1.File_tollgate_admin_v1_license_service_proto,
		adminv1.File_tollgate_admin_v1_traffic_service_proto,
		adminv1.File_tollgate_admin_v1_usage_service_proto,
	} {
		for i := range file.Services().Len() {
			all = append(all, file.Services().Get(i))
		}
	}
	return all
}

// permissions says, by procedure (`/package.Service/Rpc`), what a caller must hold. A method without the option
// is there with the empty permission, which no role holds.
type permissions map[string]auth.Permission

// permissionsOf reads the option `permission` of every method.
func permissionsOf(services []protoreflect.ServiceDescriptor) (permissions, error) {
	all := permissions{}
	for _, s := range services {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			p, err := permissionOf(m)
			if err != nil {
				return nil, err
			}
			all[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = p
		}
	}
	return all, nil
}

func permissionOf(m protoreflect.MethodDescriptor) (auth.Permission, error) {
	option, ok := proto.GetExtension(m.Options(), adminv1.E_Permission).(adminv1.Permission)
	if !ok || option == adminv1.Permission_PERMISSION_UNSPECIFIED {
		return "", nil
	}
	p := permissionFrom(option)
	if !auth.Owner.Holds(p) {
		return "", fmt.Errorf("%s wants %s, which no role holds", m.FullName(), option)
	}
	return p, nil
}

// permissionFrom turns PERMISSION_CATALOG_READ into catalog.read.
func permissionFrom(p adminv1.Permission) auth.Permission {
	word := strings.ToLower(strings.TrimPrefix(p.String(), "PERMISSION_"))
	return auth.Permission(strings.Replace(word, "_", ".", 1))
}
