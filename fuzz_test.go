package dabchick_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// FuzzParseReceipt: a text that is accepted is one that the queue wrote.
func FuzzParseReceipt(f *testing.F) {
	q, other := mustNew(f, dabchick.Options[int]{}), mustNew(f, dabchick.Options[int]{})
	send(f, q, 1)
	send(f, other, 1)
	m := take(f, q)
	for _, s := range []string{"", "A", m.Receipt.String(), take(f, other).Receipt.String(), strings.Repeat("A", 43), "é\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := q.ParseReceipt(s)
		if err != nil {
			require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)
			require.Zero(t, r)
			return
		}
		require.Equal(t, s, r.String())
		require.Equal(t, m.Receipt, r, "the only receipt that was given out")
		_, err = other.ParseReceipt(s)
		require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)
	})
}

// FuzzParseID: a text that is accepted is an id, and comes back in lower case.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "00000000-0000-0000-0000-000000000000", "A28F843F-0449-8958-8000-000000000001", "----"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := dabchick.ParseID(s)
		if err != nil {
			require.Zero(t, id)
			require.Less(t, len(err.Error()), 400)
			return
		}
		require.Equal(t, strings.ToLower(s), id.String())
	})
}

// FuzzAttributes: an attribute is refused with an error that names it, or comes
// back as it was sent.
func FuzzAttributes(f *testing.F) {
	f.Add("name", "String", "text", []byte(nil))
	f.Add("AWS.name", "Number.x", "1e5", []byte{1})
	f.Add(".", "Binary", "", []byte{0})
	q := mustNew(f, dabchick.Options[int]{})
	f.Fuzz(func(t *testing.T, name, kind, text string, data []byte) {
		a := dabchick.Attribute{Type: kind, Text: text, Data: data}
		_, err := q.SendWith(t.Context(), 1, dabchick.SendOptions{Attributes: map[string]dabchick.Attribute{name: a}})
		if err != nil {
			var invalid *dabchick.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Contains(t, invalid.Field, "Attributes[")
			return
		}
		m := take(t, q)
		got, ok := m.Attribute(name)
		require.True(t, ok)
		require.Equal(t, a, got)
		require.NoError(t, m.Delete(t.Context()))
	})
}
