package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var toOslo = Search{Beach: "Waikiki", From: "Oslo", Depart: "2027-06-30", Return: "2027-07-14"}

func newTestSite(t *testing.T, seed uint64) *site {
	t.Helper()
	s, err := newSite(config{servers: 2, timeout: 10 * time.Second, seed: seed})
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

// until waits for a state of a search.
func until(s *site, id string, is func(*trip) bool) *trip {
	for {
		st, changed := s.look(id)
		if is(st.Trip) {
			return st.Trip
		}
		<-changed
	}
}

func done(t *trip) bool { return t.Done }

func timeline(t *trip) (lines string) {
	for _, m := range t.Timeline {
		lines += m.Text + "\n"
	}
	return lines
}

func TestOffersComeAsAirlinesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, 1)
		id, err := s.search(t.Context(), toOslo)
		require.NoError(t, err)
		first := until(s, id, func(t *trip) bool { return len(t.Offers) > 0 })
		require.Len(t, first.Offers, 1)
		require.False(t, first.Done)
		all := until(s, id, done)
		synctest.Wait()
		require.Len(t, airlines, len(all.Offers)+len(all.Failed), "each has answered or failed")
		for i := range all.Offers[1:] {
			require.LessOrEqual(t, all.Offers[i].Euros, all.Offers[i+1].Euros)
		}
		require.NoError(t, s.pick(id, all.Offers[0].Airline))
		require.EqualError(t, s.pick(id, "Nobody"), `there is no offer of "Nobody" in "trip-1"`)
		st, _ := s.look(id)
		require.Equal(t, all.Offers[0].Airline, st.Trip.Picked)
		left, err := s.searches.Stats(t.Context())
		require.NoError(t, err)
		require.Zero(t, left.Visible+left.InFlight)
	})
}

// Killing servers at random instants loses no search.
func TestKilledServersLoseNoSearch(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			s := newTestSite(t, seed)
			id, err := s.search(t.Context(), toOslo)
			require.NoError(t, err)
			for n := range 2 {
				time.Sleep(time.Duration(seed*37%700+1) * time.Millisecond)
				require.NoError(t, s.kill(n+1))
				require.EqualError(t, s.kill(n+1), "there is no server "+string(rune('1'+n))+" that lives")
			}
			time.Sleep(time.Hour) // nobody lives
			st, _ := s.look(id)
			if !st.Trip.Done { // it may have been done in time
				require.Contains(t, timeline(st.Trip), "is killed in the middle of it")
				require.NoError(t, s.start(1))
			}
			require.NotEmpty(t, until(s, id, done).Offers)
		})
	}
}

func TestSearchOfADeadServerIsAnsweredByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, 1)
		id, err := s.search(t.Context(), toOslo)
		require.NoError(t, err)
		first := until(s, id, func(t *trip) bool { return len(t.Offers) > 0 }).Offers[0].Server
		began := time.Now()
		require.NoError(t, s.kill(first))
		all := until(s, id, done)
		require.Less(t, time.Since(began), 20*time.Second)
		require.Contains(t, timeline(all), "the search comes up again")
		for _, o := range all.Offers {
			require.Equal(t, 3-first, o.Server)
		}
		require.EqualError(t, s.start(3-first), "there is no server "+string(rune('0'+3-first))+" that is dead")
	})
}

func TestServerThatIsClosedGivesItsSearchBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, 1)
		_, err := s.search(t.Context(), toOslo)
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		s.close()
		m, ok := s.searches.TryReceive()
		require.True(t, ok)
		require.Equal(t, 1, m.Receives, "and spends no attempt")
	})
}

func TestNonsenseIsRefused(t *testing.T) {
	s := newTestSite(t, 1)
	h := s.handler()
	for want, body := range map[string]string{
		"not a search":                   "{",
		"which we do not know":           `{"beach":"Mars"}`,
		"where nobody flies":             `{"beach":"Waikiki","from":"<script>"}`,
		"which is not a date":            `{"beach":"Waikiki","from":"Oslo","depart":"soon"}`,
		"before departure on 2027-02-02": `{"beach":"Waikiki","from":"Oslo","depart":"2027-02-02","return":"2027-02-01"}`,
		"request body too large":         `{"beach":"` + strings.Repeat("x", 1<<13) + `"}`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/search", strings.NewReader(body)))
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Contains(t, w.Body.String(), want)
	}
	for _, path := range []string{"/kill?server=9", "/kill?server=x", "/start?server=1", "/pick?trip=x&airline=y"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
		require.Equal(t, http.StatusBadRequest, w.Code, path)
	}
	r := httptest.NewRequest("POST", "/kill?server=1", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code, "a page of another site")
}

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), config{addr: "127.0.0.1:0", servers: 2, timeout: time.Second, seed: 1, demo: true}, &out))
	require.Contains(t, out.String(), "comes up again")
	require.Contains(t, out.String(), "have a good trip")
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.NoError(t, run(ctx, config{addr: "127.0.0.1:0", servers: 2, timeout: time.Second}, &out))
	require.Contains(t, out.String(), "open http://127.0.0.1:")
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"-servers 1", "-servers 9", "-timeout 1ms", "-timeout 2m", "more"} {
		_, err := parseFlags(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
}
