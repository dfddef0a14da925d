package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigFile(t *testing.T) {
	c, err := parseConfig([]byte(`{
		"addr": "127.0.0.1:0", "region": "eu-west-1", "account": "123456789012", "noPauses": true, "keys": {"AKID": "secret"},
		"queues": [
			{"name": "jobs", "deadLetter": "dead", "maxReceives": 3, "attributes": {"VisibilityTimeout": 60, "DelaySeconds": "5"}},
			{"name": "dead"},
			{"name": "orders.fifo", "attributes": {"ContentBasedDeduplication": true}},
			{"name": "more", "attributes": {"RedrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dead", "maxReceiveCount": 2}}}
		]
	}`))
	require.NoError(t, err)
	s, err := c.service()
	require.NoError(t, err)
	defer s.Close()
	jobs := queueOf(t, s, "jobs").Options()
	require.Equal(t, time.Minute, jobs.VisibilityTimeout)
	require.Equal(t, 5*time.Second, jobs.Delay)
	require.Equal(t, 3, jobs.MaxReceives)
	require.Same(t, queueOf(t, s, "dead"), jobs.DeadLetter)
	require.Same(t, queueOf(t, s, "dead"), queueOf(t, s, "more").Options().DeadLetter)
	require.True(t, queueOf(t, s, "orders.fifo").Options().FIFO)
}

func TestConfigErrorsNameWhatIsWrong(t *testing.T) {
	queue := func(members string) string { return `{"queues": [{"name": "jobs", ` + members + `}]}` }
	for _, x := range []struct{ text, says string }{
		{``, "ends before its JSON does"},
		{`{"addr": `, "ends before its JSON does"},
		{"{\n\"addr\" 1}", "line 2: invalid character '1' after object key"},
		{`{} {}`, "line 1: something follows the end of the object"},
		{`[]`, "line 1: the file is array, allowed: an object"},
		{`{"adr": "x"}`, `unknown field "adr", allowed: addr, region, account, baseURL, hosts, noPauses, keys, queues; for a queue: name, attributes, deadLetter, maxReceives`},
		{queue(`"visibility": 1`), `unknown field "visibility"`},
		{"{\n\"queues\": \"jobs\"}", "line 2: queues is string, allowed: a list"},
		{`{"noPauses": "yes"}`, "noPauses is string, allowed: true or false"},
		{`{"keys": {"AKID": 1}}`, "is number, allowed: a text"},
		{`{"keys": {"AKID": ""}}`, `keys is "AKID", allowed: ids and secrets that are not empty`},
		{`{"account": "12"}`, `account is "12", allowed: 12 digits`},
		{`{"region": "Mars!"}`, `region is "Mars!"`},
		{`{"queues": [{}]}`, `queue "": Value  for parameter QueueName is invalid. Reason: Queue name cannot be empty`},
		{`{"queues": [{"name": "a b"}]}`, "Can only include alphanumeric characters"},
		{`{"queues": [{"name": "jobs"}, {"name": "jobs"}]}`, `queue "jobs" is given twice`},
		{queue(`"attributes": {"VisibilityTimeout": 43201}`), `queue "jobs": Invalid value for the parameter VisibilityTimeout. Reason: "43201" is not a number from 0 to 43200.`},
		{queue(`"attributes": {"VisibilityTimeout": 1.5}`), `"1.5" is not a number`},
		{queue(`"attributes": {"VisibilityTimeout": [1]}`), `queue "jobs": VisibilityTimeout is [1], allowed: a text, a number, true, false or an object`},
		{queue(`"attributes": {"VisibilityTimeout": null}`), "VisibilityTimeout is null"},
		{queue(`"attributes": {"Colour": "red"}`), "Unknown Attribute Colour."},
		{queue(`"attributes": {"FifoQueue": true}`), ".fifo suffix"},
		{queue(`"deadLetter": "dead", "maxReceives": 3`), `queue "jobs": deadLetter is "dead", allowed: one of the queues that are given`},
		{queue(`"deadLetter": "jobs", "maxReceives": 3`), `queue "jobs": deadLetter leads back to it`},
		{queue(`"maxReceives": 3`), `queue "jobs": maxReceives is 3, allowed: only with deadLetter`},
		{queue(`"deadLetter": "x", "attributes": {"RedrivePolicy": ""}`), "says the same as RedrivePolicy"},
		{`{"queues": [{"name": "a", "deadLetter": "b"}, {"name": "b"}]}`, "maxReceives is 0, allowed with deadLetter: 1 to 1000"},
		{`{"queues": [{"name": "a", "deadLetter": "b", "maxReceives": 1}, {"name": "b", "deadLetter": "a", "maxReceives": 1}]}`, "leads back"},
		{strings.Repeat(" ", mostConfig+1), "has more than 1048576 bytes"},
	} {
		c, err := parseConfig([]byte(x.text))
		if err == nil {
			_, err = c.service()
		}
		require.ErrorContains(t, err, x.says, x.text)
	}
}

func TestKeyErrorsNameWhereTheKeyIs(t *testing.T) {
	t.Setenv("DABCHICK_KEYS", "A:1,secret")
	_, err := (&serveFlags{keys: []string{"B:2"}}).merged()
	require.EqualError(t, err, "DABCHICK_KEYS is not of the form ID:SECRET")
}

func TestFlagsWinOverTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "queues.json")
	require.NoError(t, os.WriteFile(name, []byte(`{"addr": "127.0.0.1:1", "region": "eu-west-1", "keys": {"A": "1", "B": "1"}, "queues": [{"name": "a"}]}`), 0o600))
	t.Setenv("DABCHICK_KEYS", "B:2,C:2")
	f := serveFlags{config: name, addr: "127.0.0.1:2", queues: []string{"b,DelaySeconds=1"}, keys: []string{"C:3:x"}}
	c, err := f.merged()
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", c.Addr)
	require.Equal(t, "eu-west-1", c.Region)
	require.Equal(t, map[string]string{"A": "1", "B": "2", "C": "3:x"}, c.Keys)
	require.Len(t, c.Queues, 2)
	require.Equal(t, `"1"`, string(c.Queues[1].Attributes["DelaySeconds"]))

	require.NoError(t, os.WriteFile(name, []byte(`{"qeues": []}`), 0o600))
	_, err = f.merged()
	require.ErrorContains(t, err, "-config "+name+`: unknown field "qeues"`)
}

// What the parser takes becomes a service, or an error that says why not.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		`{"addr":"127.0.0.1:0","queues":[{"name":"jobs","deadLetter":"dead","maxReceives":3,"attributes":{"VisibilityTimeout":60}},{"name":"dead"}]}`,
		`{"queues":[{"name":"a","deadLetter":"b"},{"name":"b","deadLetter":"a"}]}`, `{"queues":[{"name":"o.fifo","attributes":{"FifoQueue":true,"Policy":{}}}]}`,
		`{"keys":{"":""}}`, `{"queues":null}`, `[`, `{"queues":[{"attributes":{"x":"\ud800"}}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if err == nil {
			var s interface{ Close() }
			if s, err = c.service(); err == nil {
				s.Close()
			}
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// FuzzQueueFlag does the same for the flag.
func FuzzQueueFlag(f *testing.F) {
	f.Add("jobs,VisibilityTimeout=60,deadLetter=dead,maxReceives=3")
	f.Add("o.fifo,=,")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQueue(text)
		if err != nil {
			return
		}
		c := config{Queues: []queueConfig{q}}
		if s, err := c.service(); err == nil {
			s.Close()
		}
	})
}
