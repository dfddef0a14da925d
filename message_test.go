package dabchick_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

func TestMessageCarriesWhatWasSent(t *testing.T) {
	ctx := context.Background()
	type job struct{ Path *string }
	path := "a.png"
	q := mustNew(t, dabchick.Options[job]{})
	attributes := map[string]dabchick.Attribute{
		"s": dabchick.StringAttribute("text"),
		"n": dabchick.NumberAttribute("1.50"),
		"b": dabchick.BinaryAttribute([]byte{1, 2}),
	}
	id, err := q.SendWith(ctx, job{&path}, dabchick.SendOptions{
		Group: "user-7", TraceHeader: "Root=1-5759e988", Attributes: attributes,
	})
	require.NoError(t, err)
	attributes["s"] = dabchick.StringAttribute("changed after the send")

	m := take(t, q)
	require.Equal(t, id, m.ID)
	require.Same(t, &path, m.Body.Path, "the value itself, not a copy")
	require.Equal(t, "user-7", m.Group())
	require.Equal(t, "Root=1-5759e988", m.TraceHeader())
	require.Len(t, m.Attributes(), 3)
	a, ok := m.Attribute("s")
	require.True(t, ok)
	require.Equal(t, "text", a.Text)
	a, _ = m.Attribute("n")
	require.Equal(t, "1.50", a.Text, "as it was written")
	delete(m.Attributes(), "s")
	_, ok = m.Attribute("s")
	require.True(t, ok, "Attributes gives a copy")
	_, ok = m.Attribute("unknown")
	require.False(t, ok)
}

func TestMessageWithoutMetadata(t *testing.T) {
	q := mustNew(t, dabchick.Options[string]{})
	send(t, q, "x")
	for _, m := range []dabchick.Message[string]{take(t, q), {}} {
		require.Empty(t, m.Group())
		require.Empty(t, m.TraceHeader())
		require.Nil(t, m.Attributes())
		_, ok := m.Attribute("k")
		require.False(t, ok)
		_, ok = m.Origin()
		require.False(t, ok)
	}
	var none dabchick.Message[string]
	require.True(t, none.SentAt().IsZero())
	require.True(t, none.FirstReceivedAt().IsZero())
	require.True(t, none.VisibleAt().IsZero())
}

func TestIDs(t *testing.T) {
	seen := map[dabchick.ID]bool{}
	for range 3 {
		q := mustNew(t, dabchick.Options[int]{})
		for i := range 1000 {
			id, err := q.Send(context.Background(), i)
			require.NoError(t, err)
			require.False(t, seen[id])
			seen[id] = true
			s := id.String()
			require.Len(t, s, 36)
			require.Equal(t, byte('8'), s[14], "version 8")
			require.Contains(t, "89ab", s[19:20], "variant of RFC 9562")
			back, err := dabchick.ParseID(s)
			require.NoError(t, err)
			require.Equal(t, id, back)
		}
	}
	for id := range seen {
		b, err := json.Marshal(id)
		require.NoError(t, err)
		require.Equal(t, `"`+id.String()+`"`, string(b))
		var back dabchick.ID
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, id, back)
		break
	}
	for _, s := range []string{"", "x", "00000000-0000-0000-0000-00000000000g", "00000000000000000000000000000000"} {
		_, err := dabchick.ParseID(s)
		require.Error(t, err)
	}
}

func TestReceiptHandles(t *testing.T) {
	ctx := context.Background()
	q, other := mustNew(t, dabchick.Options[string]{}), mustNew(t, dabchick.Options[string]{})
	send(t, q, "x")
	m := take(t, q)
	handle := m.Receipt.String()
	require.Less(t, len(handle), 1024)
	r, err := q.ParseReceipt(handle)
	require.NoError(t, err)
	require.Equal(t, m.Receipt, r)
	require.True(t, m.Receipt == r, "receipts compare")

	_, err = other.ParseReceipt(handle)
	require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)
	for i := range handle { // any other letter in any place
		for _, c := range []byte("A_z") {
			if handle[i] == c {
				continue
			}
			forged := []byte(handle)
			forged[i] = c
			_, err := q.ParseReceipt(string(forged))
			require.ErrorIs(t, err, dabchick.ErrReceiptInvalid, "%s", forged)
		}
	}
	for _, s := range []string{"", "x", handle[1:], handle + "A", handle + "\n"} {
		_, err := q.ParseReceipt(s)
		require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)
	}
	for range 1000 { // a last byte of 0, which is in one of 256, may not be left out
		send(t, q, "y")
		handle := take(t, q).Receipt.String()
		_, err := q.ParseReceipt(handle[:len(handle)-1] + "\n")
		require.ErrorIs(t, err, dabchick.ErrReceiptInvalid)
	}
	q.Purge(ctx)
	require.Empty(t, dabchick.Receipt{}.String())
	require.NoError(t, q.Delete(ctx, r))
	counts(t, q, 0, 0, 0)
}

func TestStates(t *testing.T) {
	require.Equal(t, "visible", dabchick.Visible.String())
	require.Equal(t, "in flight", dabchick.InFlight.String())
	require.Equal(t, "delayed", dabchick.Delayed.String())
	require.Equal(t, "state 9", dabchick.State(9).String())
}

func TestPeek(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		q := mustNew(t, dabchick.Options[string]{})
		send(t, q, "in flight", "overdue", "visible")
		m := take(t, q)
		require.NoError(t, m.Extend(ctx, time.Hour))
		take(t, q)
		_, err := q.SendWith(ctx, "delayed", dabchick.SendOptions{Delay: time.Minute})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		send(t, q, "new")

		ms, err := q.Peek(ctx, 100)
		require.NoError(t, err)
		type seen struct {
			Body     string
			State    dabchick.State
			Receives int
		}
		var got []seen
		for _, m := range ms {
			got = append(got, seen{m.Body, m.State, m.Receives})
			require.ErrorIs(t, m.Delete(ctx), dabchick.ErrReceiptInvalid, "a look gives no right to settle")
		}
		require.Equal(t, []seen{
			{"visible", dabchick.Visible, 0},
			{"overdue", dabchick.Visible, 1},
			{"new", dabchick.Visible, 0},
			{"delayed", dabchick.Delayed, 0},
			{"in flight", dabchick.InFlight, 1},
		}, got)
		require.True(t, ms[0].FirstReceivedAt().IsZero())
		require.Equal(t, time.Now().Add(30*time.Second), ms[3].VisibleAt())
		counts(t, q, 3, 1, 1)
		for n := 1; n <= 6; n++ {
			some, err := q.Peek(ctx, n)
			require.NoError(t, err)
			require.Equal(t, ms[:min(n, 5)], some)
		}
		require.Equal(t, []string{"visible", "overdue", "new"}, takeAll(t, q), "Peek told the order")
	})
}

// A handle shows neither where a message lies nor how many there are: those of one
// message after the other have nothing in common.
func TestReceiptHandlesShowNothing(t *testing.T) {
	q := mustNew(t, dabchick.Options[int]{})
	const handles = 256
	var at [43]map[byte]int // what stands at each place, and how often
	for i := range handles {
		send(t, q, i)
		for p, c := range []byte(take(t, q).Receipt.String()) {
			if at[p] == nil {
				at[p] = map[byte]int{}
			}
			at[p][c]++
		}
	}
	for p := range 42 { // the last one carries four bits only
		for c, n := range at[p] {
			require.Less(t, n, handles/6, "%q at place %d", c, p)
		}
	}
}

// What the queue keeps messages in is used again, and tells nothing of those before.
func TestMessageHasNothingOfThoseBeforeIt(t *testing.T) {
	q := mustNew(t, dabchick.Options[int]{})
	for i := range 1000 {
		var o dabchick.SendOptions
		if i%3 == 0 {
			o.TraceHeader = strconv.Itoa(i)
		}
		_, err := q.SendWith(t.Context(), i, o)
		require.NoError(t, err)
		m := take(t, q)
		require.Equal(t, o.TraceHeader, m.TraceHeader())
		require.NoError(t, m.Delete(t.Context()))
	}
}
