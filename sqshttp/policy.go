package sqshttp

import (
	"encoding/json"
	"regexp"
	"slices"
)

// A policy is the text of the attribute Policy, as far as AddPermission makes it.
// It is stored and returned, and not enforced.
type policy struct {
	Version   string `json:",omitempty"`
	ID        string `json:"Id,omitempty"`
	Statement statements
}

// statements are a list, or one without a list around it.
type statements []json.RawMessage

func (s *statements) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		*s = statements{slices.Clone(text)}
		return nil
	}
	return json.Unmarshal(text, (*[]json.RawMessage)(s))
}

type statement struct {
	Sid       string
	Effect    string
	Principal map[string]any
	Action    any
	Resource  string
}

var (
	labels       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	permissibles = []string{
		"*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility",
		"GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
	}
)

// grant returns a policy text with a statement more.
func grant(text, arn, label string, accounts, actions []string) (string, error) {
	p := policy{Version: "2008-10-17", ID: arn + "/SQSDefaultPolicy"}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return "", badAttribute("Policy", text)
		}
	}
	switch {
	case !labels.MatchString(label):
		return "", badValue("Label", quoted(label), "1 to 80 letters, digits, hyphens and underscores")
	case slices.Contains(p.labels(), label):
		return "", badValue("Label", label, "Already exists.")
	case len(actions) > 7:
		return "", overLimit.because("%d Actions were found, maximum allowed is 7.", len(actions))
	case len(p.Statement) >= 20:
		return "", overLimit.because("A policy has at most 20 statements.")
	}
	var principals, allowed []string
	for _, a := range accounts {
		if !accountID.MatchString(a) {
			return "", badValue("PrincipalId", quoted(a), "Unable to verify.")
		}
		principals = append(principals, "arn:aws:iam::"+a+":root")
	}
	for _, a := range actions {
		if !slices.Contains(permissibles, a) {
			return "", badValue("ActionName", quoted(a), "Please refer to the appropriate WSDL for a list of valid actions.")
		}
		allowed = append(allowed, "SQS:"+a)
	}
	added, err := json.Marshal(statement{label, "Allow", map[string]any{"AWS": oneOrMany(principals)}, oneOrMany(allowed), arn})
	if err != nil {
		return "", err
	}
	p.Statement = append(p.Statement, added)
	return p.text()
}

// revoke returns a policy text without a statement, or "" if there is none left.
func revoke(text, label string) (string, error) {
	var p policy
	if text != "" {
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return "", badAttribute("Policy", text)
		}
	}
	i := slices.Index(p.labels(), label)
	if i < 0 {
		return "", badValue("Label", quoted(label), "can't find label.")
	}
	if p.Statement = slices.Delete(p.Statement, i, i+1); len(p.Statement) == 0 {
		return "", nil
	}
	return p.text()
}

func (p *policy) labels() (all []string) {
	for _, raw := range p.Statement {
		var s struct{ Sid string }
		json.Unmarshal(raw, &s) // one without is nobody's label
		all = append(all, s.Sid)
	}
	return all
}

func (p *policy) text() (string, error) {
	b, err := json.Marshal(p)
	if err == nil && len(b) > mostAttribute {
		return "", overLimit.because("A policy has at most %d bytes.", mostAttribute)
	}
	return string(b), err
}

func oneOrMany(all []string) any {
	if len(all) == 1 {
		return all[0]
	}
	return all
}
