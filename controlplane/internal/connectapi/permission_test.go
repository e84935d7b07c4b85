package connectapi

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/internal/auth"
	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func TestPermissions_EveryCallStatesOne(t *testing.T) {
	t.Parallel()
	all, err := permissionsOf(services())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.admin.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				seen++
				procedure := "/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name())
				switch p, served := all[procedure]; {
				case !served:
					t.Errorf("%s is not served", procedure)
				case p == "":
					t.Errorf("%s states no permission", procedure)
				}
			}
		}
		return true
	})
	if seen == 0 || seen != len(all) {
		t.Errorf("%d calls in the protos, %d served", seen, len(all))
	}
}

// A call that reads needs a permission to read, one that writes a permission to write.
func TestPermissions_FitWhatTheCallDoes(t *testing.T) {
	t.Parallel()
	for _, s := range services() {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			p, err := permissionOf(m)
			if err != nil {
				t.Fatal(err)
			}
			options, ok := m.Options().(*descriptorpb.MethodOptions)
			if !ok {
				t.Fatalf("options of %s: %T", m.FullName(), m.Options())
			}
			reads := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
			if p != auth.Authenticated && reads != strings.HasSuffix(string(p), ".read") {
				t.Errorf("%s: reads %v, permission %s", m.FullName(), reads, p)
			}
		}
	}
}

func TestPermissions_EnumAndTableAreTheSame(t *testing.T) {
	t.Parallel()
	values := adminv1.Permission_PERMISSION_UNSPECIFIED.Descriptor().Values()
	if got, want := values.Len()-1, len(auth.Permissions()); got != want {
		t.Errorf("%d permissions in the proto, %d in auth", got, want)
	}
	for i := 1; i < values.Len(); i++ {
		p := permissionFrom(adminv1.Permission(values.Get(i).Number()))
		if !auth.Owner.Holds(p) {
			t.Errorf("%s becomes %s, which auth does not know", values.Get(i).Name(), p)
		}
	}
}

func TestRoles_AreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for _, r := range auth.Roles() {
		if err := licensing.Role(r).Validate(); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		if e := toEnum[adminv1.Role](r); e == adminv1.Role_ROLE_UNSPECIFIED || toWord[auth.Role](e) != r {
			t.Errorf("%s becomes %s", r, e)
		}
	}
	if got, want := adminv1.Role_ROLE_OWNER.Descriptor().Values().Len()-1, len(auth.Roles()); got != want {
		t.Errorf("%d roles in the proto, %d in auth", got, want)
	}
}

// bare is a service whose one call states no permission.
func bare(t *testing.T, options *descriptorpb.MethodOptions) protoreflect.ServiceDescriptor {
	t.Helper()
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Syntax: proto.String("proto3"), Name: proto.String("bare.proto"), Package: proto.String("tollgate.admin.v1"),
		Dependency: []string{"tollgate/admin/v1/access_service.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("BareService"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("Do"), InputType: proto.String(".tollgate.admin.v1.WhoAmIRequest"),
				OutputType: proto.String(".tollgate.admin.v1.WhoAmIResponse"), Options: options,
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return f.Services().Get(0)
}

func TestPermissions_NotStatedIsHeldByNobody(t *testing.T) {
	t.Parallel()
	unspecified := &descriptorpb.MethodOptions{}
	proto.SetExtension(unspecified, adminv1.E_Permission, adminv1.Permission_PERMISSION_UNSPECIFIED)
	for name, options := range map[string]*descriptorpb.MethodOptions{"absent": nil, "unspecified": unspecified} {
		all, err := permissionsOf([]protoreflect.ServiceDescriptor{bare(t, options)})
		if err != nil {
			t.Fatal(err)
		}
		p, there := all["/tollgate.admin.v1.BareService/Do"]
		if !there || p != "" || auth.Owner.Holds(p) {
			t.Errorf("%s: %q, %v", name, p, there)
		}
	}
}

func TestPermissions_UnknownOneStopsTheStart(t *testing.T) {
	t.Parallel()
	unknown := &descriptorpb.MethodOptions{}
	proto.SetExtension(unknown, adminv1.E_Permission, adminv1.Permission(999))
	if _, err := permissionsOf([]protoreflect.ServiceDescriptor{bare(t, unknown)}); err == nil {
		t.Error("a permission that nobody can hold was accepted")
	}
}
