package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// A change is the text of a file of the module that reads otherwise than the file
// in one function. It may add declarations.
type change struct{ file, text string }

// A span is the lines in which a numbered change stands.
type span struct{ number, from, to int }

var errNotInAFunction = errors.New("the change is not in one function")

// withSwitches returns a file in which each function that is changed has its other
// bodies in front of its own, each to be run instead when the variable that
// selector declares has its number. So all changes are built at once. unfit are
// those that cannot be had so.
func withSwitches(source string, numbers []int, texts []string) (text string, spans []span, unfit map[int]error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution)
	unfit = map[int]error{}
	if err != nil {
		for _, number := range numbers {
			unfit[number] = err
		}
		return source, nil, unfit
	}
	known := map[string]string{} // text of what is declared, by its head
	for _, d := range file.Decls {
		head, rest := declared(set, source, d)
		known[head] = rest
	}
	bodies := map[string][]int{} // by head of function: the places in numbers
	other := make([]string, len(numbers))
	added := ""
	for i, changed := range texts {
		head, body, more, err := difference(known, changed)
		if err != nil {
			unfit[numbers[i]] = err
			continue
		}
		bodies[head] = append(bodies[head], i)
		other[i] = body
		added += more
	}
	var out strings.Builder
	line := 1
	write := func(s string) {
		out.WriteString(s)
		line += strings.Count(s, "\n")
	}
	last := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		head, _ := declared(set, source, d)
		inside := set.Position(f.Body.Lbrace).Offset + 1
		write(source[last:inside])
		last = inside
		for _, i := range bodies[head] {
			from := line
			if r := f.Type.Results; r != nil {
				results := source[set.Position(r.Pos()).Offset:set.Position(r.End()).Offset]
				write(fmt.Sprintf("\nif activeMutant == %d {\nreturn func() %s %s()\n}\n", numbers[i], results, other[i]))
			} else {
				write(fmt.Sprintf("\nif activeMutant == %d {\nfunc() %s()\nreturn\n}\n", numbers[i], other[i]))
			}
			spans = append(spans, span{numbers[i], from, line})
		}
	}
	write(source[last:] + added)
	return out.String(), spans, unfit
}

// declared splits a declaration: a function into its head and its body.
func declared(set *token.FileSet, source string, d ast.Decl) (head, body string) {
	from, to := set.Position(d.Pos()).Offset, set.Position(d.End()).Offset
	if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
		brace := set.Position(f.Body.Lbrace).Offset
		return source[from:brace], source[brace:to]
	}
	return source[from:to], ""
}

// difference returns the head of the one function that has another body in the
// changed text than is known, that body, and declarations that are not known.
func difference(known map[string]string, changed string) (head, body, added string, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", changed, parser.SkipObjectResolution)
	if err != nil {
		return "", "", "", err
	}
	for _, d := range file.Decls {
		h, b := declared(set, changed, d)
		was, ok := known[h]
		switch {
		case !ok && b == "":
			added += "\n" + h + "\n"
		case !ok || b != was && head != "":
			return "", "", "", errNotInAFunction
		case b != was:
			head, body = h, b
		}
	}
	if head == "" {
		return "", "", "", errNotInAFunction
	}
	return head, body, added, nil
}

// selector is the file that declares which change is on: that of the environment.
func selector(pkg string) string {
	return "package " + pkg + `

import (
	"os"
	"strconv"
)

var activeMutant, _ = strconv.Atoi(os.Getenv("` + selected + `"))
`
}

const selected = "MUTANT"
