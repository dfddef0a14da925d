package sqshttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// mostBody is how large the body of a request may be: of a message of 1 MiB,
	// escaped as JSON or a form may do.
	mostBody = 8 << 20
	// smallBody is what each request may hold of its body. Larger ones share
	// mostBodies, so that many of them wait rather than fill the memory.
	smallBody  = 16 << 10
	mostBodies = 64 << 20

	readTime  = 30 * time.Second // for the whole body
	writeTime = 30 * time.Second // for the answer, beyond what a poll waits

	defaultPolls = 12_288
)

var (
	unavailable = kind{"ServiceUnavailable", "ServiceUnavailable", http.StatusServiceUnavailable}
	timedOut    = kind{"RequestTimeout", "RequestTimeout", http.StatusRequestTimeout}
)

// busy is told to those who would take more than there is. SDKs try again.
var busy = unavailable.because("The service is busy. Try again in a second.")

// limits are what all the requests over a network share. Requests in process are the
// caller's own.
type limits struct {
	bodies *budget
	polls  atomic.Int64
	most   int64 // polls
}

func newLimits(polls int) *limits {
	return &limits{bodies: newBudget(mostBodies), most: int64(polls)}
}

// A port is what a request came in by, and what of the limits it takes.
type port struct {
	*limits
	conn     *http.ResponseController
	stopping context.Context // ends when polls are to end, with an answer
	taken    int             // bytes
}

// begin limits the time of a request, where the server can: of reading its body, be it to
// throw it away, and of what is written until that is read. A body that has been read
// ends the first limit.
func (p *port) begin() {
	p.conn.SetReadDeadline(time.Now().Add(readTime))
	p.answerWithin(readTime + writeTime)
}

func (p *port) answerWithin(d time.Duration) { p.conn.SetWriteDeadline(time.Now().Add(d)) }

// read returns the body of a request.
func (p *port) read(r *http.Request) ([]byte, error) {
	body, err := readBody(r, func(n int) error {
		ctx, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		if err := p.bodies.take(ctx, n); err != nil {
			return busy
		}
		p.taken = n
		return nil
	})
	switch _, told := errors.AsType[*Error](err); {
	case told:
		return nil, err
	case err != nil:
		return nil, timedOut.because("The body of the request did not come within %v.", readTime)
	}
	p.answerWithin(writeTime)
	return body, nil
}

// release gives back what the body took.
func (p *port) release() {
	p.bodies.give(p.taken)
	p.taken = 0
}

// readBody reads a body of at most mostBody, into at most twice its size. Before it takes
// more than smallBody it asks.
func readBody(r *http.Request, ask func(bytes int) error) ([]byte, error) {
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
	n, err := io.ReadFull(r.Body, body)
	if err == nil { // there is more
		whole = max(whole, n)
		if err := ask(whole); err != nil {
			return nil, err
		}
		small := body
		body = make([]byte, whole+1)
		copy(body, small)
		var more int
		more, err = io.ReadFull(r.Body, body[n:])
		n += more
	}
	switch {
	case err == nil:
		return nil, tooLarge()
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case int64(n) < r.ContentLength:
		return nil, io.ErrUnexpectedEOF
	}
	return body[:n], nil
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
	if p.taken > 0 { // its names of attributes would be held for as long as it waits
		return requestTooLarge.because("A receive that waits has at most %d bytes.", smallBody)
	}
	defer p.polls.Add(-1)
	if p.polls.Add(1) > p.most {
		return busy
	}
	p.answerWithin(wait + writeTime)
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

// A budget is memory that requests share, in parts. One request takes at a time, and
// takes all that it needs before the next one does: so none waits for another that holds
// some and waits too.
type budget struct {
	turn  chan struct{}
	parts chan struct{}
}

const partSize = 64 << 10

func newBudget(bytes int) *budget {
	return &budget{turn: make(chan struct{}, 1), parts: make(chan struct{}, bytes/partSize)}
}

func parts(bytes int) int { return (bytes + partSize - 1) / partSize }

func (b *budget) take(ctx context.Context, bytes int) error {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.turn }()
	for i := range parts(bytes) {
		select {
		case b.parts <- struct{}{}:
		case <-ctx.Done():
			b.give(i * partSize)
			return ctx.Err()
		}
	}
	return nil
}

func (b *budget) give(bytes int) {
	for range parts(bytes) {
		<-b.parts
	}
}
