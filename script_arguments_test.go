package dabchick_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick"
)

// arguments are what follows the name of a command. Whoever reads them takes them
// out; what is left in the end is an error.
type arguments struct {
	verb       string
	words      []string
	named      map[string]string
	queue      string // after @
	background bool   // & at the end
	err        error  // the first thing that was wrong
}

// parseArguments splits a command at spaces. A word, or the value behind =, may be
// quoted as in Go.
func parseArguments(command string) (*arguments, error) {
	a := &arguments{named: map[string]string{}}
	for rest := strings.TrimSpace(command); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var name, text string
		if i := strings.IndexAny(rest, ` ="`); i > 0 && rest[i] == '=' {
			name, rest = rest[:i], rest[i+1:]
		}
		quoted := strings.HasPrefix(rest, `"`)
		if quoted {
			prefix, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("a quote that does not end: %s", rest)
			}
			text, _ = strconv.Unquote(prefix)
			rest = rest[len(prefix):]
		} else {
			text, rest, _ = strings.Cut(rest, " ")
		}
		_, given := a.named[name]
		switch {
		case given:
			return nil, fmt.Errorf("%q is given twice", name)
		case name != "":
			a.named[name] = text
		case strings.HasPrefix(text, "@") && !quoted:
			a.queue = text[1:]
		case text == "&" && !quoted && rest == "":
			a.background = true
		case a.verb == "":
			a.verb = text
		default:
			a.words = append(a.words, text)
		}
	}
	if a.verb == "" {
		return nil, errors.New("no command")
	}
	return a, nil
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// check returns what was wrong, or that something was left.
func (a *arguments) check() error {
	for _, name := range slices.Sorted(maps.Keys(a.named)) {
		a.fail("unknown argument %q", name)
	}
	if len(a.words) > 0 {
		a.fail("unknown argument %q", a.words[0])
	}
	return a.err
}

// take returns the value of a named argument, and whether it was given.
func (a *arguments) take(name string) (string, bool) {
	text, ok := a.named[name]
	delete(a.named, name)
	return text, ok
}

// flag says whether a word is among the words.
func (a *arguments) flag(name string) bool {
	i := slices.Index(a.words, name)
	if i >= 0 {
		a.words = slices.Delete(a.words, i, i+1)
	}
	return i >= 0
}

// one returns the only word.
func (a *arguments) one(what string) string {
	if len(a.words) != 1 {
		a.fail("one %s is needed, got %d words", what, len(a.words))
		a.words = []string{""}
	}
	text := a.words[0]
	a.words = nil
	return text
}

func (a *arguments) parseDuration(what, text string) time.Duration {
	if text == "forever" {
		return dabchick.Forever
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		a.fail("%s: %q is not a duration such as 30s or forever", what, text)
	}
	return d
}

// duration reads an option in which 0 stands for a default; "0" is a real zero.
func (a *arguments) duration(name string, d *time.Duration) {
	if text, ok := a.take(name); ok {
		if *d = a.parseDuration(name, text); *d == 0 {
			*d = dabchick.Immediately
		}
	}
}

func (a *arguments) count(name string, n *int) {
	if text, ok := a.take(name); ok {
		var err error
		if *n, err = strconv.Atoi(text); err != nil {
			a.fail("%s: %q is not a number", name, text)
		}
	}
}

func (a *arguments) share(name string, f *float64) {
	if text, ok := a.take(name); ok {
		var err error
		if *f, err = strconv.ParseFloat(text, 64); err != nil {
			a.fail("%s: %q is not a number", name, text)
		}
	}
}

// attributes takes the arguments attr:NAME.
func (a *arguments) attributes() map[string]dabchick.Attribute {
	attributes := map[string]dabchick.Attribute{}
	for _, arg := range slices.Sorted(maps.Keys(a.named)) {
		name, ok := strings.CutPrefix(arg, "attr:")
		if !ok {
			continue
		}
		text, _ := a.take(arg)
		kind, value, ok := strings.Cut(text, ":")
		if !ok {
			a.fail("%s: %q is not a type, a colon and a value", arg, text)
		}
		attribute := dabchick.Attribute{Type: kind, Text: value}
		if strings.HasPrefix(kind, "Binary") {
			attribute = dabchick.Attribute{Type: kind, Data: []byte(value)}
		}
		attributes[name] = attribute
	}
	return attributes
}

// expand makes m1, m2 and m3 of m{1..3}.
func (a *arguments) expand(text string) []string {
	name, numbers, ok := strings.Cut(strings.TrimSuffix(text, "}"), "{")
	from, to, isRange := strings.Cut(numbers, "..")
	if !ok || !isRange || !strings.HasSuffix(text, "}") {
		return []string{text}
	}
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil || first < 0 || last > 999 {
		a.fail("%q: a range is from 0 to 999", text)
		return nil
	}
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, name+strconv.Itoa(n))
	}
	return all
}

func (a *arguments) fields(known map[string]func(*session, message) string) []string {
	text, ok := a.take("show")
	if !ok {
		return nil
	}
	fields := strings.Split(text, ",")
	for _, f := range fields {
		if known[f] == nil {
			a.fail("show: no field %q, there are %s", f, fieldNames(known))
		}
	}
	return fields
}

func fieldNames(known map[string]func(*session, message) string) string {
	return strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}
