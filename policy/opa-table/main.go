// Command opa-table runs the table of policies through OPA itself: it makes a bundle of each policy, as `opa build -t wasm`
// does, and writes down what OPA says to each input, both as `opa eval` does and with --strict-builtin-errors.
//
//	opa-table FOLDER    for each NAME.rego and NAME.json in it: writes NAME.tar.gz and NAME.opa.json
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

// A row of the table, as NAME.json has it. What else stands there is for others.
type row struct {
	Data   map[string]any            `json:"data"`
	Inputs map[string]map[string]any `json:"inputs"`
}

// What OPA says of one rule: a value and its type, or `undefined`, or `error`.
type said struct {
	Type  string `json:"type"`
	Value any    `json:"value,omitempty"`
}

// What OPA says to one input, by rule.
type answer struct {
	Lenient map[string]said `json:"lenient"`
	Strict  map[string]said `json:"strict"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: opa-table FOLDER")
	}
	policies, err := filepath.Glob(filepath.Join(os.Args[1], "*.rego"))
	if err != nil || len(policies) == 0 {
		log.Fatalf("%s: no policies there (%v)", os.Args[1], err)
	}
	for _, path := range policies {
		if err := one(strings.TrimSuffix(path, ".rego")); err != nil {
			log.Fatalf("%s: %v", path, err)
		}
	}
}

func one(base string) error {
	source, err := os.ReadFile(base + ".rego")
	if err != nil {
		return err
	}
	module, err := ast.ParseModuleWithOpts("policy.rego", string(source), ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return err
	}
	rules := asked(module)
	bundle, err := bundled(base+".rego", rules)
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".tar.gz", bundle, 0o644); err != nil {
		return err
	}
	file, err := os.ReadFile(base + ".json")
	if err != nil {
		return err
	}
	var table row
	if err := util.UnmarshalJSON(file, &table); err != nil {
		return err
	}
	if table.Data == nil {
		table.Data = map[string]any{}
	}
	answers := map[string]answer{}
	for name, input := range table.Inputs {
		lenient, err := ask(string(source), table.Data, input, rules, false)
		if err != nil {
			return err
		}
		strict, err := ask(string(source), table.Data, input, rules, true)
		if err != nil {
			return err
		}
		answers[name] = answer{lenient, strict}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(answers); err != nil {
		return err
	}
	return os.WriteFile(base+".opa.json", text.Bytes(), 0o644)
}

// The rules that a policy declares of those that are asked.
func asked(module *ast.Module) []string {
	var rules []string
	for _, name := range []string{"allow", "deny", "require_approval", "warn"} {
		for _, rule := range module.Rules {
			if rule.Head.Ref()[0].Value.Compare(ast.Var(name)) == 0 {
				rules = append(rules, name)
				break
			}
		}
	}
	return rules
}

// The bundle of one policy. The data of the table is not in it: a policy may bring its own.
func bundled(path string, rules []string) ([]byte, error) {
	var entrypoints []string
	for _, rule := range rules {
		entrypoints = append(entrypoints, "keywright/"+rule)
	}
	var to bytes.Buffer
	compiler := compile.New().
		WithTarget(compile.TargetWasm).
		WithEntrypoints(entrypoints...).
		WithFS(os.DirFS(filepath.Dir(path))).
		WithPaths(filepath.Base(path)).
		WithOutput(&to)
	if err := compiler.Build(context.Background()); err != nil {
		return nil, err
	}
	return to.Bytes(), nil
}

func ask(source string, data map[string]any, input map[string]any, rules []string, strict bool) (map[string]said, error) {
	answers := map[string]said{}
	for _, rule := range rules {
		query := rego.New(
			rego.Query(fmt.Sprintf("value := data.keywright.%s; type := type_name(value)", rule)),
			rego.Module("policy.rego", source),
			rego.Store(inmem.NewFromObject(data)),
			rego.Input(input),
			rego.StrictBuiltinErrors(strict),
		)
		results, err := query.Eval(context.Background())
		switch {
		case err != nil:
			// What is wrong is said in words of OPA, which change; that it is wrong is what must agree.
			answers[rule] = said{Type: "error"}
		case len(results) == 0:
			answers[rule] = said{Type: "undefined"}
		default:
			bound := results[0].Bindings
			answers[rule] = said{Type: fmt.Sprint(bound["type"]), Value: bound["value"]}
		}
	}
	return answers, nil
}
