package entry

import (
	"context"
	"database/sql"
	"time"

	"maragu.dev/goqite"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Goqite keeps messages in a table of SQLite, here in memory.
var Goqite = Entry[goqite.ID]{
	Info: Info{Name: "goqite", Kind: Peer, Leases: true, Unit: time.Millisecond, OffHeap: true,
		What: "maragu.dev/goqite 0.4.0 on modernc.org/sqlite, in memory, one connection as its README has it; it polls, here every 10 ms, as in the README"},
	Open: func(s Setup) (Queue[goqite.ID], error) {
		db, err := sql.Open("sqlite", ":memory:")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		db.SetMaxIdleConns(1)
		if _, err := db.Exec(goqiteSchema); err != nil {
			db.Close()
			return nil, err
		}
		return &goqiteQueue{db, goqite.New(goqite.NewOpts{DB: db, Name: "benchmark", Timeout: s.Visibility})}, nil
	},
}

// goqiteSchema is the table that goqite works on, with the default values, trigger
// and index that its schema file gives it.
const goqiteSchema = `
CREATE TABLE goqite (
	id       TEXT PRIMARY KEY DEFAULT ('m_' || lower(hex(randomblob(16)))),
	created  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	updated  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	queue    TEXT NOT NULL,
	body     BLOB NOT NULL,
	timeout  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	received INTEGER NOT NULL DEFAULT 0,
	priority INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER goqite_updated AFTER UPDATE ON goqite BEGIN
	UPDATE goqite SET updated = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = old.id;
END;
CREATE INDEX goqite_order ON goqite (queue, priority DESC, created);`

type goqiteQueue struct {
	db *sql.DB
	q  *goqite.Queue
}

func (q *goqiteQueue) Send(ctx context.Context, body []byte) error {
	return q.q.Send(ctx, goqite.Message{Body: body})
}

func (q *goqiteQueue) Receive(ctx context.Context) ([]byte, goqite.ID, error) {
	m, err := q.q.ReceiveAndWait(ctx, 10*time.Millisecond)
	if err != nil {
		return nil, "", err
	}
	return m.Body, m.ID, nil
}

func (q *goqiteQueue) Delete(ctx context.Context, id goqite.ID) error { return q.q.Delete(ctx, id) }

func (q *goqiteQueue) Close() error { return q.db.Close() }
