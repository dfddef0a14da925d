package main

import (
	"os"
	"strings"
	"testing"
)

// The outage that docs/testing.md shows is the one that is tested.
func TestGuide(t *testing.T) {
	bubble := func(file, before string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(string(text), before+"synctest.Test(t, func(t *testing.T) {\n")
		body, _, closed := strings.Cut(after, "})\n")
		if !found || !closed {
			t.Fatalf("there is no bubble in %s", file)
		}
		var lines []string
		for line := range strings.Lines(body) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	guide, code := bubble("../../docs/testing.md", "```go\n"), bubble("service_test.go", "func TestMailSurvivesAnOutage(t *testing.T) {\n\t")
	if guide != code {
		t.Errorf("the guide shows:\n%s\nand the test is:\n%s", guide, code)
	}
}
