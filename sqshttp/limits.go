package sqshttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// mostBody is how large the body of a request may be: of a message of 1 MiB,
	// escaped as JSON or a form may do.
	mostBody = 8 << 20
	// smallBody is what each request may hold of its body. Larger ones need room.
	smallBody = 16 << 10

	readTime = 30 * time.Second // for the whole body
	// A body that has room comes at this pace at least, as others wait for the room.
	paceBytes = 64 << 10
	paceTime  = 2 * time.Second

	writeTime = 30 * time.Second // for the answer, beyond what a poll waits

	defaultPolls = 12_288
)

// rooms are how many bodies beyond smallBody may be held at a time, by their size: 96 MiB,
// and who sends what is too large for a message keeps out nobody else.
var rooms = [...]struct{ bytes, bodies int }{{128 << 10, 128}, {2 << 20, 24}, {mostBody, 4}}

var (
	unavailable = kind{"ServiceUnavailable", "ServiceUnavailable", http.StatusServiceUnavailable}
	timedOut    = kind{"RequestTimeout", "RequestTimeout", http.StatusRequestTimeout}
)

// busy is told to those who would take more than there is. SDKs try again.
var busy = unavailable.because("The service is busy. Try again in a second.")

// limits are what all the requests over a network share. Requests in process are the
// caller's own.
type limits struct {
	rooms    [len(rooms)]chan struct{} // taken by those who hold a body of that size
	decoders chan struct{}             // and by those of them who decode it
	polls    atomic.Int64
	most     int64 // polls
}

func newLimits(polls int) *limits {
	// Decoding a large body takes a processor for as long as thousands of small requests do,
	// which get the other ones.
	l := &limits{decoders: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), most: int64(polls)}
	for i, r := range rooms {
		l.rooms[i] = make(chan struct{}, r.bodies)
	}
	return l
}

// A port is what a request came in by, and what of the limits it takes.
type port struct {
	*limits
	conn     *http.ResponseController
	stopping context.Context // ends when polls are to end, with an answer
	readBy   time.Time       // when the body has to be there
	heard    bool            // it is there
	room     chan struct{}   // that a large body has taken
}

// begin limits the time of a request, where the server can: of reading its body, be it to
// throw it away, and of what is written until that is read. A body that has been read
// ends both limits: a request may wait for long, a send for room as a receive for messages.
func (p *port) begin() {
	p.readBy = time.Now().Add(readTime)
	p.conn.SetReadDeadline(p.readBy)
	p.conn.SetWriteDeadline(p.readBy.Add(writeTime))
}

// write writes the answer, within the time for that.
func (p *port) write(w http.ResponseWriter, a *answer) {
	if p.heard {
		p.conn.SetWriteDeadline(time.Now().Add(writeTime))
	}
	a.write(w)
}

// read returns the body of a request.
func (p *port) read(r *http.Request) ([]byte, error) {
	body, err := readBody(r, func(bytes int) (io.Reader, error) {
		if !p.enter(r.Context(), bytes) {
			return nil, busy
		}
		return &paced{r.Body, p, 0}, nil
	})
	switch _, told := errors.AsType[*Error](err); {
	case told:
		return nil, err
	case err != nil:
		return nil, timedOut.because("The body of the request did not come in time.")
	}
	p.heard = true
	p.conn.SetReadDeadline(time.Time{}) // or looking whether the client is there would end with it
	p.conn.SetWriteDeadline(time.Time{})
	return body, nil
}

// enter waits for room for a body, and says whether it has it.
func (p *port) enter(ctx context.Context, bytes int) bool {
	ctx, cancel := context.WithDeadline(ctx, p.readBy)
	defer cancel()
	size := 0
	for rooms[size].bytes < bytes {
		size++
	}
	select {
	case p.rooms[size] <- struct{}{}:
		p.room = p.rooms[size]
		return true
	case <-ctx.Done():
		return false
	}
}

// A paced reader reads a body that has room.
type paced struct {
	io.Reader
	port *port
	left int // bytes that have to come before the deadline
}

func (s *paced) Read(b []byte) (int, error) {
	if s.left <= 0 {
		s.left = paceBytes
		by := time.Now().Add(paceTime)
		if by.After(s.port.readBy) {
			by = s.port.readBy
		}
		s.port.conn.SetReadDeadline(by)
	}
	n, err := s.Reader.Read(b)
	s.left -= n
	return n, err
}

// decode runs what decodes the body, when it is the body's turn.
func (p *port) decode(ctx context.Context, run func() error) error {
	if p == nil || p.room == nil {
		return run()
	}
	select {
	case p.decoders <- struct{}{}:
		defer func() { <-p.decoders }()
		return run()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release makes room for another body.
func (p *port) release() {
	if p.room != nil {
		<-p.room
	}
}

// readBody reads a body of at most mostBody, into at most twice its size. Before it takes
// more than smallBody it asks for a reader of the rest.
func readBody(r *http.Request, ask func(bytes int) (rest io.Reader, err error)) ([]byte, error) {
	switch {
	case r.ContentLength > mostBody:
		return nil, tooLarge()
	case r.Body == http.NoBody:
		return nil, nil
	}
	whole := int(r.ContentLength)
	if whole <= 0 {
		whole = mostBody // nobody says
	}
	body := make([]byte, min(whole, smallBody)+1)
	n, err := fill(body, r.Body)
	if err == nil { // there is more
		whole = max(whole, n)
		rest, refused := ask(whole)
		if refused != nil {
			return nil, refused
		}
		small := body
		body = make([]byte, whole+1)
		copy(body, small)
		var more int
		more, err = fill(body[n:], rest)
		n += more
	}
	switch {
	case err == nil:
		return nil, tooLarge()
	case err != io.EOF:
		return nil, err
	case int64(n) < r.ContentLength:
		return nil, io.ErrUnexpectedEOF
	}
	return body[:n], nil
}

// fill reads until b is full, and returns no error then, or else the reader's own: after
// io.ReadFull a body that has ended would look as one that was cut off.
func fill(b []byte, r io.Reader) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = r.Read(b[n:])
		n += more
	}
	if n == len(b) {
		return n, nil
	}
	return n, err
}

func tooLarge() error {
	return requestTooLarge.because("The request has more than %d bytes.", mostBody)
}

// poll lets a receive wait within the limits of the port. The call that it is given ends
// also when the port closes: then the client is told that nothing came.
func (c *call) poll(wait time.Duration, receive func(c *call) error) error {
	p := c.port
	if p == nil || wait <= 0 {
		return receive(c)
	}
	if p.room != nil { // its names of attributes would be held for as long as it waits
		return requestTooLarge.because("A receive that waits has at most %d bytes.", smallBody)
	}
	defer p.polls.Add(-1)
	if p.polls.Add(1) > p.most {
		return busy
	}
	waiting := *c
	var cancel context.CancelFunc
	waiting.ctx, cancel = context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(p.stopping, cancel)()
	err := receive(&waiting)
	if err != nil && c.ctx.Err() == nil && waiting.ctx.Err() != nil {
		return nil
	}
	return err
}
