package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
)

// spare returns the test files of a folder that some tests can do without. Most of
// the time for a mutant is spent on compiling tests that are not run.
func spare(dir string, tests []string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	files := map[string]*testFile{}
	local := map[string]bool{} // types declared in test files
	for _, p := range paths {
		f, err := readTestFile(p)
		if err != nil {
			return nil, err
		}
		files[p] = f
		for name := range f.types {
			local[name] = true
		}
	}
	declaredIn := map[string][]string{}
	for p, f := range files {
		for name := range f.names {
			declaredIn[name] = append(declaredIn[name], p)
		}
		for name, receiver := range f.methods { // else they come with their type
			if !local[receiver] {
				declaredIn[name] = append(declaredIn[name], p)
			}
		}
	}
	needed := map[string]bool{}
	var need func(name string)
	need = func(name string) {
		for _, p := range declaredIn[name] {
			if !needed[p] {
				needed[p] = true
				for used := range files[p].used {
					need(used)
				}
			}
		}
	}
	need("TestMain")
	for _, test := range tests {
		need(test)
	}
	var unneeded []string
	for _, p := range paths {
		if !needed[p] {
			unneeded = append(unneeded, p)
		}
	}
	return unneeded, nil
}

// A testFile is what a test file declares at its top, and what it names at all:
// without types, so that it may seem to need more than it does.
type testFile struct {
	names, types, used map[string]bool
	methods            map[string]string // with their receivers
}

func readTestFile(path string) (*testFile, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &testFile{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				f.names[d.Name.Name] = true
			} else {
				f.methods[d.Name.Name] = receiver(d.Recv.List[0].Type)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					f.names[s.Name.Name], f.types[s.Name.Name] = true, true
				case *ast.ValueSpec:
					for _, name := range s.Names {
						f.names[name.Name] = true
					}
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			f.used[id.Name] = true
		}
		return true
	})
	return f, nil
}

// receiver returns the name of a receiver's type.
func receiver(t ast.Expr) string {
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
