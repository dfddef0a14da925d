package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// A mutant is a file in which one place reads otherwise.
type mutant struct {
	file       string
	line       int
	source     string
	start, end int    // of what is replaced in source
	new        string // what stands there instead
}

func (m *mutant) text() string { return m.source[:m.start] + m.new + m.source[m.end:] }

func (m *mutant) String() string {
	old, _, _ := strings.Cut(m.source[m.start:m.end], "\n")
	return fmt.Sprintf("%s:%d: %s -> %s", m.file, m.line, old, m.new)
}

// diff shows the lines that differ.
func (m *mutant) diff() string {
	from := strings.LastIndexByte(m.source[:m.start], '\n') + 1
	to := m.end + strings.IndexByte(m.source[m.end:], '\n')
	mark := func(sign, lines string) string { return sign + strings.ReplaceAll(lines, "\n", "\n"+sign) }
	return mark("    - ", m.source[from:to]) + "\n" + mark("    + ", m.source[from:m.start]+m.new+m.source[m.end:to])
}

// otherOperator is what an operator is taken for.
var otherOperator = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
	token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
	token.INC: token.DEC, token.DEC: token.INC,
}

// mutantsOf returns all mutants of a file: conditions negated, operators taken for
// others, one side of an && or || or of a min or max left out, numbers one off, true
// for false, and statements left out. Not all of them compile.
func mutantsOf(file, source string) ([]mutant, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mutant
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	text := func(n ast.Node) string { return source[offset(n.Pos()):offset(n.End())] }
	replace := func(from, to token.Pos, new string) {
		all = append(all, mutant{file, set.Position(from).Line, source, offset(from), offset(to), new})
	}
	operator := func(at token.Pos, op token.Token) {
		if other, ok := otherOperator[op]; ok {
			replace(at, at+token.Pos(len(op.String())), other.String())
		}
	}
	negate := func(cond ast.Expr) {
		if cond != nil {
			replace(cond.Pos(), cond.End(), "!("+text(cond)+")")
		}
	}
	leaveOut := func(statements []ast.Stmt) {
		for _, s := range statements {
			if canBeLeftOut(s) {
				replace(s.Pos(), s.End(), "")
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			negate(n.Cond)
		case *ast.ForStmt:
			negate(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag == nil {
				for _, s := range n.Body.List {
					for _, cond := range s.(*ast.CaseClause).List {
						negate(cond)
					}
				}
			}
		case *ast.BinaryExpr:
			operator(n.OpPos, n.Op)
			if n.Op == token.LAND || n.Op == token.LOR {
				replace(n.Pos(), n.End(), text(n.X))
				replace(n.Pos(), n.End(), text(n.Y))
			}
		case *ast.AssignStmt:
			operator(n.TokPos, n.Tok)
		case *ast.IncDecStmt:
			operator(n.TokPos, n.Tok)
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "min" || f.Name == "max") {
				for _, arg := range n.Args {
					replace(n.Pos(), n.End(), text(arg))
				}
			}
		case *ast.BasicLit:
			if i, err := strconv.Atoi(n.Value); err == nil && n.Kind == token.INT {
				replace(n.Pos(), n.End(), strconv.Itoa(i+1))
			}
		case *ast.Ident:
			switch n.Name {
			case "true":
				replace(n.Pos(), n.End(), "false")
			case "false":
				replace(n.Pos(), n.End(), "true")
			}
		case *ast.BlockStmt:
			leaveOut(n.List)
		case *ast.CaseClause:
			leaveOut(n.Body)
		case *ast.CommClause:
			leaveOut(n.Body)
		}
		return true
	})
	return all, nil
}

// canBeLeftOut says whether a file without a statement may compile.
func canBeLeftOut(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE
	case *ast.ReturnStmt:
		return len(s.Results) == 0
	case *ast.IfStmt:
		return s.Else == nil
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt, *ast.BranchStmt:
		return true
	}
	return false
}
