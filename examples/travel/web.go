package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// handler returns the site as pages see it. Other sites' pages cannot post to it.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page.Execute(w, map[string]any{"Beaches": beaches, "Cities": cities})
	})
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("POST /search", func(w http.ResponseWriter, r *http.Request) {
		var search Search
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<12)).Decode(&search)
		if err != nil {
			answer(w, nil, fmt.Errorf("not a search: %w", err))
			return
		}
		id, err := s.search(r.Context(), search)
		answer(w, map[string]string{"id": id}, err)
	})
	mux.HandleFunc("POST /pick", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]bool{"ok": true}, s.pick(r.URL.Query().Get("trip"), r.URL.Query().Get("airline")))
	})
	for path, do := range map[string]func(int) error{"/kill": s.kill, "/start": s.start} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.URL.Query().Get("server")) // 0 is no server
			answer(w, map[string]bool{"ok": true}, do(n))
		})
	}
	return http.NewCrossOriginProtection().Handler(mux)
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = map[string]string{"error": err.Error()}
	}
	json.NewEncoder(w).Encode(v)
}

// events streams the state of a search and the servers, each time that it changes.
func (s *site) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	for {
		st, changed := s.look(r.URL.Query().Get("trip"))
		text, err := json.Marshal(st)
		if err == nil {
			_, err = fmt.Fprintf(w, "data: %s\n\n", text)
		}
		if err != nil || stream.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.ending.Done():
			return
		}
	}
}
