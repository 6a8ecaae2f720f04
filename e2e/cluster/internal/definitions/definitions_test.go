// Package definitions shows the CustomResourceDefinitions and their examples to the code of the API server itself: that
// it compiles their rules, within its limits of cost, and takes or refuses the examples. The unit tests of `crds` do the
// same with an implementation in Rust, which knows no cost.
package definitions

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

const crds = "../../../../crds"

func files(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(crds, folder, "*.yaml"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func definitions(t *testing.T) []*apiextensions.CustomResourceDefinition {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensions.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var all []*apiextensions.CustomResourceDefinition
	for _, file := range files(t, "generated") {
		given := &v1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(read(t, file), given); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		v1.SetObjectDefaults_CustomResourceDefinition(given)
		internal := &apiextensions.CustomResourceDefinition{}
		if err := scheme.Convert(given, internal, nil); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		internal.Status.StoredVersions = []string{given.Spec.Versions[0].Name}
		all = append(all, internal)
	}
	return all
}

func TestEveryDefinitionIsTaken(t *testing.T) {
	for _, definition := range definitions(t) {
		if refused := validation.ValidateCustomResourceDefinition(context.Background(), definition); len(refused) > 0 {
			t.Errorf("%s: %v", definition.Name, refused.ToAggregate())
		}
	}
}

// A kind as the API server serves it.
type kind struct {
	structural *schema.Structural
	schema     apivalidation.SchemaValidator
	rules      *cel.Validator
}

func kinds(t *testing.T) map[string]kind {
	t.Helper()
	all := map[string]kind{}
	for _, definition := range definitions(t) {
		props := definition.Spec.Validation
		if props == nil {
			props = definition.Spec.Versions[0].Schema
		}
		structural, err := schema.NewStructural(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := apivalidation.NewSchemaValidator(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		all[definition.Spec.Names.Kind] = kind{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
	}
	return all
}

// refusal is what the API server says to an object; empty where it takes it.
func (k kind) refusal(object map[string]any) string {
	defaulting.Default(object, k.structural)
	if unknown := pruning.PruneWithOptions(object, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}); len(unknown) > 0 {
		return "unknown field " + strings.Join(unknown, ", ")
	}
	refused := apivalidation.ValidateCustomResource(nil, object, k.schema)
	rules, _ := k.rules.Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
	if refused = append(refused, rules...); len(refused) > 0 {
		return refused.ToAggregate().Error()
	}
	return ""
}

func documents(t *testing.T, file string) []map[string]any {
	t.Helper()
	var all []map[string]any
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(read(t, file))))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			return all
		}
		text, failed := yaml.ToJSON(document)
		object := map[string]any{}
		// As the API server decodes: whole numbers are integers.
		if err := errors.Join(err, failed, json.Unmarshal(text, &object)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(object) > 0 {
			all = append(all, object)
		}
	}
}

func TestEveryGoodExampleIsTaken(t *testing.T) {
	known := kinds(t)
	for _, file := range files(t, "examples/good") {
		for _, object := range documents(t, file) {
			if said := known[object["kind"].(string)].refusal(object); said != "" {
				t.Errorf("%s: %s", filepath.Base(file), said)
			}
		}
	}
}

// A bad example names the field or quotes the message; a place in a list is named with its index by the API server.
func TestEveryBadExampleIsRefusedForItsReason(t *testing.T) {
	known := kinds(t)
	for _, file := range files(t, "examples/bad") {
		first, _, _ := strings.Cut(string(read(t, file)), "\n")
		reason, _, _ := strings.Cut(strings.TrimPrefix(first, "# refused: "), ":")
		object := documents(t, file)[0]
		said := known[object["kind"].(string)].refusal(object)
		switch {
		case said == "":
			t.Errorf("%s is taken", filepath.Base(file))
		case !strings.Contains(withoutIndexes(said), reason):
			t.Errorf("%s: %q is not in %s", filepath.Base(file), reason, said)
		case strings.Contains(said, "type conversion error"):
			t.Errorf("%s is refused in words of the machine: %s", filepath.Base(file), said)
		}
	}
}

func withoutIndexes(text string) string {
	var plain strings.Builder
	for i, part := range strings.Split(text, "[") {
		if index, rest, found := strings.Cut(part, "]"); i > 0 && found && strings.Trim(index, "0123456789") == "" {
			part = rest
		} else if i > 0 {
			part = "[" + part
		}
		plain.WriteString(part)
	}
	return plain.String()
}
