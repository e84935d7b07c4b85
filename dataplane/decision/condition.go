package decision

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// What a condition may be, and cost: enough for a few dozen comparisons and a walk through headers. Estimates assume the sizes that
// termNames gives; a request that is larger may run into the limit, and is denied.
const (
	// MaxCondition is the longest text, in bytes.
	MaxCondition     = 2048
	maxConditionCost = 20_000 // In CEL's units.
	maxNodes         = 500
	maxRegex         = 1000 // Instructions of a compiled pattern.
)

// ConditionError says what is wrong with a condition, and where.
type ConditionError struct {
	Line, Column int // From 1; 0: the whole.
	Message      string
}

// Error is the place and the message.
func (e *ConditionError) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// CheckCondition says why a text is no condition: it has to be CEL over the names of TermNames, of type bool, and not cost too much,
// whatever the request. The error is a *ConditionError.
func CheckCondition(text string) error {
	_, err := compile(text)
	return err
}

// condition is a compiled text, or why it cannot be compiled. It never changes, and any number of requests may ask it at once.
type condition struct {
	program cel.Program
	err     error
}

func newCondition(text string) *condition {
	p, err := compile(text)
	return &condition{p, err}
}

var errNotBool = errors.New("the condition gave something else than a bool")

// holds evaluates the condition, and says what that cost.
func (c *condition) holds(in *termInput) (holds bool, cost uint64, err error) {
	if c.err != nil {
		return false, 0, c.err
	}
	out, details, err := c.program.Eval(in)
	if n := details.ActualCost(); n != nil {
		cost = *n
	}
	if err != nil {
		return false, cost, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, cost, errNotBool
	}
	return bool(b), cost, nil
}

// environment is what all conditions are compiled in. It takes milliseconds to make.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(48), cel.ParserExpressionSizeLimit(MaxCondition), cel.ParserErrorRecoveryLimit(8),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(2), strict{},
		),
	}
	for _, n := range termNames {
		options = append(options, cel.Variable(n.name, n.kind))
	}
	return cel.NewEnv(options...)
})

// compile is the one place where conditions are compiled: what can be saved is what nodes can run.
func compile(text string) (program cel.Program, err error) {
	defer func() {
		// A bug in the compiler must not end every node of a fleet.
		if r := recover(); r != nil {
			program, err = nil, &ConditionError{Message: fmt.Sprintf("cannot be compiled: %v", r)}
		}
	}()
	if len(text) > MaxCondition {
		return nil, &ConditionError{Message: fmt.Sprintf("is longer than %d bytes", MaxCondition)}
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, located(text, issues)
	}
	if out := checked.OutputType(); !out.IsExactType(cel.BoolType) {
		return nil, &ConditionError{Message: fmt.Sprintf("gives %s: it has to be true or false", out)}
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, &ConditionError{Message: "its cost cannot be told: " + err.Error()}
	}
	if estimate.Max > maxConditionCost {
		return nil, &ConditionError{Message: fmt.Sprintf("may cost %d units on a large request: at most %d", estimate.Max, maxConditionCost)}
	}
	program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxConditionCost), tracked(checked))
	if err != nil {
		return nil, &ConditionError{Message: err.Error()}
	}
	return program, nil
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '(\w+)'`)
	selection  = regexp.MustCompile(`^(\w+)\s*\.\s*(\w+)`)
)

// located is the first issue, by its place in the text.
func located(text string, issues *cel.Issues) *ConditionError {
	all := issues.Errors()
	if len(all) == 0 {
		return &ConditionError{Message: issues.Err().Error()}
	}
	e := slices.MinFunc(all, func(a, b *cel.Error) int {
		if d := a.Location.Line() - b.Location.Line(); d != 0 {
			return d
		}
		return a.Location.Column() - b.Location.Column()
	})
	out := &ConditionError{Line: max(1, e.Location.Line()), Column: max(0, e.Location.Column()) + 1, Message: e.Message}
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		out.Message = unknownName(m[1], after(text, out.Line, out.Column))
	}
	return out
}

// after is what stands in a line of the text from a column on.
func after(text string, line, column int) string {
	lines := strings.Split(text, "\n")
	if line > len(lines) {
		return ""
	}
	rest := []rune(lines[line-1])
	return string(rest[min(column-1, len(rest)):])
}

// unknownName: names with a dot are one name to CEL, so it knows no "request" of which a field could be missing.
func unknownName(root, rest string) string {
	var fields []string
	for _, n := range termNames {
		if r, field, _ := strings.Cut(n.name, "."); r == root && field != "" {
			fields = append(fields, field)
		}
	}
	m := selection.FindStringSubmatch(rest)
	switch {
	case len(fields) == 0:
		return fmt.Sprintf("there is no name %q: use %s", root, strings.Join(TermNames(), ", "))
	case m == nil || m[1] != root:
		return fmt.Sprintf("%s is no value by itself: it has %s", root, strings.Join(fields, ", "))
	case slices.Contains(fields, m[2]):
		return fmt.Sprintf("%s.%s is always there: has() is for entries of headers, query and usage", root, m[2])
	default:
		return fmt.Sprintf("%s has no %q: it has %s", root, m[2], strings.Join(fields, ", "))
	}
}

// strict refuses what would make a request's cost, or a file of the machine, part of a condition: patterns that are not written
// out, which a client could choose, and time zones by name, which are read from disk. It also refuses headers in a spelling that is never there.
type strict struct{}

// Name implements cel.ASTValidator.
func (strict) Name() string { return "tollgate.strict" }

// fixedOffset is a time zone that nothing has to be looked up for.
var fixedOffset = regexp.MustCompile(`^([+-]?\d\d:\d\d|UTC)$`)

// Validate implements cel.ASTValidator.
func (strict) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if name := headerNamed(e); name != strings.ToLower(name) {
			issues.ReportErrorAtID(e.ID(), "request.headers has names in lower case: %q is never there", name)
		}
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		args := call.Args()
		if len(args) == 0 {
			return
		}
		last := args[len(args)-1]
		text, literal := "", false
		if last.Kind() == ast.LiteralKind {
			text, literal = last.AsLiteral().Value().(string)
		}
		switch name := call.FunctionName(); {
		case name == "matches" && !literal:
			issues.ReportErrorAtID(last.ID(), "the pattern of matches has to be written out")
		case name == "matches" && instructions(text) > maxRegex:
			issues.ReportErrorAtID(last.ID(), "the pattern compiles to %d instructions: at most %d", instructions(text), maxRegex)
		case strings.HasPrefix(name, "get") && call.IsMemberFunction() && (!literal || !fixedOffset.MatchString(text)):
			issues.ReportErrorAtID(last.ID(), `%s takes a time zone as a fixed offset like "+01:00", written out`, name)
		}
	}))
}

// headerNamed is the name of a header that e asks for; empty where it asks for none, or for one that is not written out.
func headerNamed(e ast.Expr) string {
	of, key := ast.Expr(nil), ast.Expr(nil)
	switch e.Kind() {
	case ast.SelectKind:
		if s := e.AsSelect(); isHeaders(s.Operand()) {
			return s.FieldName()
		}
		return ""
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.OptIndex:
			of, key = args[0], args[1]
		case operators.In:
			key, of = args[0], args[1]
		}
	}
	if of == nil || !isHeaders(of) || key.Kind() != ast.LiteralKind {
		return ""
	}
	name, _ := key.AsLiteral().Value().(string)
	return name
}

func isHeaders(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "request.headers" }

// instructions is how large a pattern is when it is compiled; 0 where it is none. CEL's own limit does not take patterns that repeat.
func instructions(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}

// sizes tells CEL how large what a request brings is, at most.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	for _, n := range termNames {
		if n.name != path[0] {
			continue
		}
		size := n.size
		if len(path) > 1 {
			size = n.item
		}
		return &checker.SizeEstimate{Min: 0, Max: size}
	}
	return nil
}

// EstimateCallCost implements checker.CostEstimator. It is asked of matches alone: see matchCost.
func (s sizes) EstimateCallCost(_, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if overload == overloads.MatchesString && target != nil {
		args = append([]checker.AstNode{*target}, args...)
	}
	if overload != overloads.Matches && overload != overloads.MatchesString || len(args) != 2 || args[1].Expr().Kind() != ast.LiteralKind {
		return nil
	}
	pattern, _ := args[1].Expr().AsLiteral().Value().(string)
	text := args[0].ComputedSize()
	if text == nil {
		text = s.EstimateSize(args[0])
	}
	if text == nil {
		return nil
	}
	states := instructions(pattern)
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{
		Min: matchCost(text.Min, len(pattern), states), Max: matchCost(text.Max, len(pattern), states),
	}}
}

// matchCost is what it costs to match a text of a length, as CEL counts it, but by how large the pattern is when it is compiled: CEL goes by
// the length in which it is written, and "(a|b){100}" is short.
func matchCost(text uint64, pattern, states int) uint64 {
	return uint64(math.Ceil((float64(text)+1)*common.StringTraversalCostFactor)) *
		uint64(math.Ceil(float64(max(pattern, states))*common.RegexStringLengthCostFactor))
}

// tracked counts at run time what sizes estimates: what matches costs, by the patterns that are written in a.
func tracked(a *cel.Ast) cel.ProgramOption {
	states := map[string]int{}
	ast.PreOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" || len(e.AsCall().Args()) == 0 {
			return
		}
		if last := e.AsCall().Args()[len(e.AsCall().Args())-1]; last.Kind() == ast.LiteralKind {
			pattern, _ := last.AsLiteral().Value().(string)
			states[pattern] = instructions(pattern)
		}
	}))
	cost := func(args []ref.Val, _ ref.Val) *uint64 {
		text, isText := args[0].(types.String)
		pattern, isPattern := args[1].(types.String)
		if !isText || !isPattern {
			return nil
		}
		return new(matchCost(uint64(utf8.RuneCountInString(string(text))), len(pattern), states[string(pattern)]))
	}
	return cel.CostTrackerOptions(interpreter.OverloadCostTracker(overloads.Matches, cost), interpreter.OverloadCostTracker(overloads.MatchesString, cost))
}
