package dabchick_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestZeroOptionsAreTheDefaultsOfSQS(t *testing.T) {
	o := mustNew(t, dabchick.Options[string]{}).Options()
	require.Equal(t, 30*time.Second, o.VisibilityTimeout)
	require.Equal(t, 4*24*time.Hour, o.Retention)
	require.Zero(t, o.Delay)
	require.Zero(t, o.ReceiveWait)
	require.Zero(t, o.MaxMessages)
	require.Zero(t, o.MaxInFlight)
}

func TestOptionsOutOfRange(t *testing.T) {
	dead := mustNew(t, dabchick.Options[string]{})
	type options = dabchick.Options[string]
	for field, o := range map[string]options{
		"VisibilityTimeout": {VisibilityTimeout: -2},
		"Delay":             {Delay: -time.Second},
		"Retention":         {Retention: dabchick.Immediately},
		"ReceiveWait":       {ReceiveWait: -time.Hour},
		"MaxMessages":       {MaxMessages: -1},
		"MaxBytes":          {MaxBytes: -1},
		"MaxInFlight":       {MaxInFlight: -1},
		"MaxReceives":       {MaxReceives: -1},
		"Codec":             {Codec: upper{}},
	} {
		t.Run(field, func(t *testing.T) {
			requireInvalid(t, field, o)
		})
	}
	t.Run("MaxReceives without DeadLetter", func(t *testing.T) {
		requireInvalid(t, "MaxReceives", options{MaxReceives: 3})
	})
	t.Run("DeadLetter without MaxReceives", func(t *testing.T) {
		requireInvalid(t, "MaxReceives", options{DeadLetter: dead})
	})
}

// requireInvalid asserts that options are refused for a field, by New and by
// SetOptions, which leaves the queue as it was.
func requireInvalid(t *testing.T, field string, o dabchick.Options[string]) {
	t.Helper()
	var invalid *dabchick.InvalidError
	q, err := dabchick.New("q", o)
	require.Nil(t, q)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, field, invalid.Field)
	require.NotEmpty(t, invalid.Allowed)
	require.True(t, strings.HasPrefix(err.Error(), `dabchick: new "q": `+field+" is "), err.Error())

	good := mustNew(t, dabchick.Options[string]{VisibilityTimeout: time.Minute})
	require.ErrorAs(t, good.SetOptions(o), &invalid)
	require.Equal(t, time.Minute, good.Options().VisibilityTimeout)
}

func TestSetOptions(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "a", "b")
		take(t, q)
		o := q.Options()
		o.VisibilityTimeout = time.Second
		require.NoError(t, q.SetOptions(o))
		require.Equal(t, o.VisibilityTimeout, q.Options().VisibilityTimeout)
		take(t, q)
		time.Sleep(time.Second)
		require.Equal(t, []string{"b"}, takeAll(t, q), "later receives only")

		var invalid *dabchick.InvalidError
		o.DeadLetter, o.MaxReceives = q, 1
		require.ErrorAs(t, q.SetOptions(o), &invalid)
		require.Equal(t, "DeadLetter", invalid.Field)
	})
}

// The size of a message is a matter of New, so a bound on it cannot bring one along.
func TestMaxBytesNeedsTheSizeGivenToNew(t *testing.T) {
	q := mustNew(t, dabchick.Options[struct{}]{})
	o := q.Options()
	o.Size, o.MaxBytes = func(struct{}) int { return 1 }, 10
	var invalid *dabchick.InvalidError
	require.ErrorAs(t, q.SetOptions(o), &invalid)
	require.Equal(t, "MaxBytes", invalid.Field)
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a\nb", "\x00", "\xff", strings.Repeat("x", 256)} {
		_, err := dabchick.New(name, dabchick.Options[string]{})
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid, "%q", name)
		require.Equal(t, "name", invalid.Field)
		require.NotContains(t, err.Error(), "\n")
	}
	q, err := dabchick.New("Vorschaubilder für alle", dabchick.Options[string]{})
	require.NoError(t, err)
	require.Equal(t, "Vorschaubilder für alle", q.Name())
}

func TestSendOptionsOutOfRange(t *testing.T) {
	ctx := context.Background()
	q := mustNew(t, dabchick.Options[string]{})
	attribute := func(name string, a dabchick.Attribute) dabchick.SendOptions {
		return dabchick.SendOptions{Attributes: map[string]dabchick.Attribute{name: a}}
	}
	good := dabchick.StringAttribute("v")
	bad := []struct {
		field string
		o     dabchick.SendOptions
	}{
		{"Delay", dabchick.SendOptions{Delay: -2}},
		{"Group", dabchick.SendOptions{Group: "\xff"}},
		{`Attributes[""]`, attribute("", good)},
		{`Attributes["\xff"]`, attribute("\xff", good)},
		{`Attributes["AWS.x"]`, attribute("AWS.x", good)},
		{`Attributes["amazon.x"]`, attribute("amazon.x", good)},
		{`Attributes[".x"]`, attribute(".x", good)},
		{`Attributes["x."]`, attribute("x.", good)},
		{`Attributes["x..y"]`, attribute("x..y", good)},
		{`Attributes["k"].Type`, attribute("k", dabchick.Attribute{Text: "v"})},
		{`Attributes["k"].Type`, attribute("k", dabchick.Attribute{Type: "Text", Text: "v"})},
		{`Attributes["k"].Text`, attribute("k", dabchick.StringAttribute(""))},
		{`Attributes["k"].Text`, attribute("k", dabchick.NumberAttribute("ten"))},
		{`Attributes["k"].Text`, attribute("k", dabchick.NumberAttribute("0x10"))},
		{`Attributes["k"].Text`, attribute("k", dabchick.NumberAttribute("NaN"))},
		{`Attributes["k"].Data`, attribute("k", dabchick.BinaryAttribute(nil))},
		{`Attributes["k"].Data`, attribute("k", dabchick.Attribute{Type: "String", Text: "v", Data: []byte{1}})},
		{`Attributes["k"].Text`, attribute("k", dabchick.Attribute{Type: "Binary", Text: "v", Data: []byte{1}})},
	}
	for _, b := range bad {
		_, err := q.SendWith(ctx, "x", b.o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid, "%+v", b.o)
		require.Equal(t, b.field, invalid.Field)
	}
	require.Zero(t, stats(t, q).Sent)

	// In a batch, the others are stored.
	var batch []dabchick.Outgoing[string]
	for i, b := range bad {
		batch = append(batch, dabchick.Outgoing[string]{Body: "bad", SendOptions: b.o})
		if i%3 == 0 {
			batch = append(batch, dabchick.Outgoing[string]{Body: "good"})
		}
	}
	ids, err := q.SendBatch(ctx, batch)
	var failed *dabchick.BatchError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Failed, len(bad))
	require.Len(t, ids, len(batch))
	for _, f := range failed.Failed {
		require.Equal(t, "bad", batch[f.Index].Body)
		require.Zero(t, ids[f.Index])
	}
	require.Len(t, takeAll(t, q), len(batch)-len(bad))

	for _, a := range []dabchick.Attribute{
		dabchick.NumberAttribute("-1.5e+10"), {Type: "Number.float", Text: "1"}, {Type: "String.", Text: "v"},
		dabchick.BinaryAttribute([]byte{0}),
	} {
		_, err := q.SendWith(ctx, "x", attribute("name_-.ø", a))
		require.NoError(t, err)
	}
}

func TestReceiveOptionsOutOfRange(t *testing.T) {
	q := mustNew(t, dabchick.Options[string]{})
	send(t, q, "x")
	for field, o := range map[string]dabchick.ReceiveOptions{
		"Max": {Max: -1}, "Wait": {Wait: -2}, "Visibility": {Visibility: -2},
	} {
		_, err := q.ReceiveBatch(context.Background(), o)
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	counts(t, q, 1, 0, 0)
	_, err := q.Peek(context.Background(), 0)
	var invalid *dabchick.InvalidError
	require.ErrorAs(t, err, &invalid)
}

func TestDurationsAtTheirEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{VisibilityTimeout: ns, Retention: dabchick.Forever})
		send(t, q, "x")
		take(t, q)
		takeNone(t, q)
		time.Sleep(ns)
		m := take(t, q)
		require.ErrorIs(t, m.Delete(ctx), nil)

		_, err := q.SendWith(ctx, "never", dabchick.SendOptions{Delay: dabchick.Forever})
		require.NoError(t, err)
		_, err = q.SendWith(ctx, "late", dabchick.SendOptions{Delay: dabchick.Forever - 1})
		require.NoError(t, err)
		time.Sleep(200 * 365 * 24 * time.Hour)
		counts(t, q, 0, 0, 2)
	})
}

func TestErrorTexts(t *testing.T) {
	err := error(&dabchick.BatchError{Failed: []dabchick.EntryError{
		{Index: 1, Err: dabchick.ErrFull}, {Index: 4, Err: dabchick.ErrFull},
		{Index: 5, Err: dabchick.ErrFull}, {Index: 6, Err: errors.New("unseen")},
	}})
	require.EqualError(t, err, "4 failed; entry 1: queue full; entry 4: queue full; entry 5: queue full; ...")
	err = &dabchick.InvalidError{Field: "F", Value: strings.Repeat("x", 1000), Allowed: "less"}
	require.Less(t, len(err.Error()), 150, "a long value does not fill a log")
	err = &dabchick.InvalidError{Field: "F", Value: strings.Repeat("é", 100), Allowed: "less"}
	require.True(t, utf8.ValidString(err.Error()), "no character is cut in two: %q", err)
}

type upper struct{}

func (upper) Encode(s string) ([]byte, error) { return []byte(strings.ToUpper(s)), nil }
func (upper) Decode(b []byte) (string, error) { return strings.ToLower(string(b)), nil }

// What senders may add to the backlog goes by the bounds in force.
func TestBoundsThatChange(t *testing.T) {
	q := mustNew(t, dabchick.Options[string]{MaxMessages: 10, FailFast: true})
	set := func(messages int, bytes int64) {
		o := q.Options()
		o.MaxMessages, o.MaxBytes = messages, bytes
		require.NoError(t, q.SetOptions(o))
		require.True(t, q.BacklogOpen())
		require.NoError(t, q.Check())
	}
	full := func() {
		_, err := q.Send(t.Context(), "y")
		require.ErrorIs(t, err, dabchick.ErrFull)
	}
	send(t, q, "x")
	set(2, 0)
	send(t, q, "x")
	full()
	set(0, 0)
	send(t, q, "x")
	set(0, 5)
	send(t, q, "xx")
	full()
	set(5, 4)
	full()
	require.NoError(t, take(t, q).Delete(t.Context()))
	full()
	send(t, q, "")
	set(5, 5)
	send(t, q, "x")
	full()
}

func TestOptionsTellTheSizeInForce(t *testing.T) {
	texts := mustNew(t, dabchick.Options[string]{MaxBytes: 10})
	require.Equal(t, 3, texts.Options().Size("abc"))
	bytes := mustNew(t, dabchick.Options[[]byte]{})
	require.Equal(t, 2, bytes.Options().Size([]byte("ab")))
	own := mustNew(t, dabchick.Options[string]{Size: func(string) int { return 7 }})
	require.Equal(t, 7, own.Options().Size("abc"))
	require.Nil(t, mustNew(t, dabchick.Options[int]{}).Options().Size)

	require.NoError(t, texts.SetOptions(texts.Options()))
	send(t, texts, "abc")
	require.EqualValues(t, 3, stats(t, texts).Bytes)
	send(t, own, "abc")
	require.EqualValues(t, 7, stats(t, own).Bytes)
}
