package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// demo is a person with a browser: it searches, kills the server that works on it
// when the first offer is there, and picks the cheapest offer of the next.
func demo(ctx context.Context, base string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	search := Search{Beach: "Praia da Rocha", From: "Oslo", Depart: "2027-06-30", Return: "2027-07-14"}
	body, err := json.Marshal(search)
	if err != nil {
		return err
	}
	var created struct{ ID string }
	if err := post(ctx, base+"/search", body, &created); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s from %s, %s to %s\n\n", search.Beach, search.From, search.Depart, search.Return)
	killed, shown := 0, 0
	return follow(ctx, base+"/events?trip="+created.ID, func(st state) (bool, error) {
		for _, m := range st.Trip.Timeline[shown:] {
			fmt.Fprintf(w, "%6.2f s  %s\n", float64(m.At)/1000, m.Text)
		}
		shown = len(st.Trip.Timeline)
		switch {
		case killed == 0 && len(st.Trip.Offers) > 0:
			killed = st.Trip.Offers[0].Server
			return false, post(ctx, fmt.Sprintf("%s/kill?server=%d", base, killed), nil, nil)
		case st.Trip.Picked != "":
			o := st.Trip.Offers[0]
			fmt.Fprintf(w, "\nserver %d was killed, and server %d has found %d offers; the cheapest is %s for %d €\n",
				killed, o.Server, len(st.Trip.Offers), o.Flight, o.Euros)
			if o.Server == killed {
				return true, fmt.Errorf("server %d answers though it is dead", killed)
			}
			return true, nil
		case st.Trip.Done:
			return false, post(ctx, base+"/pick?trip="+created.ID+"&airline="+url.QueryEscape(st.Trip.Offers[0].Airline), nil, nil)
		}
		return false, nil
	})
}

// follow reads the states of a stream until see says that it is enough.
func follow(ctx context.Context, url string, see func(state) (bool, error)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var st state
		if err := json.Unmarshal([]byte(text), &st); err != nil {
			return err
		}
		if enough, err := see(st); enough || err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func post(ctx context.Context, url string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}
