// Command protoc-gen-tollgate-openapi is protoc-gen-connect-openapi, with three things put right:
//
//   - every operation has an error answer, google.rpc.Status, which the generator leaves to annotations of each method;
//   - /customers/{customer.id} and /customers/{id} are one path, as OpenAPI does not tell templates apart by name;
//   - the essays on google.protobuf.Timestamp and the like are not repeated at every field.
package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	openapi "github.com/google/gnostic/openapiv3"
	"github.com/sudorandom/protoc-gen-connect-openapi/converter"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	b, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	req := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(b, req); err != nil {
		return fmt.Errorf("decode the request: %w", err)
	}
	for _, file := range req.GetProtoFile() {
		if strings.HasPrefix(file.GetName(), "google/protobuf/") {
			file.SourceCodeInfo = nil
		}
		for _, service := range file.GetService() {
			for _, method := range service.GetMethod() {
				annotate(method)
			}
		}
	}
	res, err := converter.Convert(req)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	for _, file := range res.GetFile() {
		text, err := mergePaths(file.GetContent())
		if err != nil {
			return fmt.Errorf("%s: %w", file.GetName(), err)
		}
		file.Content = &text
	}
	if b, err = proto.Marshal(res); err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	_, err = out.Write(b)
	return err
}

// annotate says what a method answers where it does not succeed. The schema stands in the base file.
func annotate(method *descriptorpb.MethodDescriptorProto) {
	if method.Options == nil {
		method.Options = &descriptorpb.MethodOptions{}
	}
	proto.SetExtension(method.Options, openapi.E_Operation, &openapi.Operation{
		Responses: &openapi.Responses{Default: &openapi.ResponseOrReference{
			Oneof: &openapi.ResponseOrReference_Reference{Reference: &openapi.Reference{
				XRef: "#/components/schemas/google.rpc.Status", Description: "Error",
			}},
		}},
	})
}

// dotted is a path variable of a nested field: {customer.id}.
var dotted = regexp.MustCompile(`\{[^{}]+\.([^{}.]+)\}`)

// mergePaths names path variables by their last part, and joins the paths that become one by that.
func mergePaths(text string) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", fmt.Errorf("parse: %w", err)
	}
	paths := member(doc.Content[0], "paths")
	if paths == nil {
		return text, nil
	}
	merged := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(paths.Content); i += 2 {
		key, item := paths.Content[i], paths.Content[i+1]
		if dotted.MatchString(key.Value) {
			rename(item)
			key.Value = dotted.ReplaceAllString(key.Value, "{$1}")
		}
		if other := member(merged, key.Value); other != nil {
			other.Content = append(other.Content, item.Content...)
			continue
		}
		merged.Content = append(merged.Content, key, item)
	}
	paths.Content = merged.Content
	var out strings.Builder
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return "", fmt.Errorf("print: %w", err)
	}
	return out.String(), enc.Close()
}

// rename cuts the names of an item's path parameters to their last part.
func rename(item *yaml.Node) {
	for i := 1; i < len(item.Content); i += 2 {
		parameters := member(item.Content[i], "parameters")
		if parameters == nil {
			continue
		}
		for _, p := range parameters.Content {
			if in := member(p, "in"); in != nil && in.Value == "path" {
				name := member(p, "name")
				name.Value = name.Value[strings.LastIndex(name.Value, ".")+1:]
			}
		}
	}
}

func member(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}
