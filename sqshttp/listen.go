package sqshttp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dabchickmq/dabchick"
)

const (
	headerTime   = 5 * time.Second
	idleTime     = 2 * time.Minute
	mostHeader   = 64 << 10
	defaultConns = 16_384
	// spareConns are those beyond the limit that are told so. More have to wait.
	spareConns = 128
)

// ListenOptions are the settings of a Server. The zero ListenOptions are a free port
// that only this machine reaches.
type ListenOptions struct {
	// Address is a host and a port, as 127.0.0.1:9324. Without a host, as :9324, it is
	// both 127.0.0.1 and ::1, where there is IPv6. "" is a free port of these.
	Address string
	// Unsafe takes an Address that other machines reach though the Service has no Keys:
	// all of them may do everything.
	Unsafe bool
	// TLS encrypts connections, and lets clients use HTTP/2. nil leaves them open.
	TLS *tls.Config
	// MaxConns is how many connections may be open. 128 more are told 503 and to try
	// again, which SDKs do; still more are not accepted before one of them has ended. A
	// process needs as many file descriptors. 0 means 16,384.
	MaxConns int
}

// A Server answers clients on ports, within limits: a header has 64 KiB and 5 s, a body 8
// MiB and 30 s, an answer 30 s beyond the wait of a receive; a connection may be idle for
// 2 minutes. HTTP/2, which there is with TLS, has the standard library's limits.
type Server struct {
	service   *Service
	http      http.Server
	listeners []net.Listener
	tls       bool
	stopping  context.Context
	stop      context.CancelFunc
}

// Listen opens ports. They are served by [Server.Serve].
//
// An address that other machines reach is refused if the Service has no Keys and o.Unsafe
// is not set. Errors are those of net.Listen, and a *dabchick.InvalidError
// for options out of range.
func (s *Service) Listen(o ListenOptions) (*Server, error) {
	if o.MaxConns < 0 {
		return nil, &dabchick.InvalidError{Field: "MaxConns", Value: o.MaxConns, Allowed: "0 or more"}
	}
	host, number, err := net.SplitHostPort(cmp.Or(o.Address, ":0"))
	if err != nil {
		return nil, &dabchick.InvalidError{Field: "Address", Value: o.Address, Allowed: "host:port"}
	}
	listeners, err := listen(host, number)
	if err != nil {
		return nil, err
	}
	for _, l := range listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && len(s.o.Keys) == 0 && !o.Unsafe {
			closeAll(listeners)
			return nil, &dabchick.InvalidError{Field: "Address", Value: o.Address, Allowed: "a loopback address, unless there are Keys, or Unsafe is set"}
		}
	}
	return s.newServer(listeners, o), nil
}

func (s *Service) newServer(listeners []net.Listener, o ListenOptions) *Server {
	v := &Server{service: s, tls: o.TLS != nil}
	v.stopping, v.stop = context.WithCancel(context.Background())
	d := newDoor(cmp.Or(o.MaxConns, defaultConns))
	for _, l := range listeners {
		v.listeners = append(v.listeners, &limited{Listener: l, door: d, closed: make(chan struct{})})
	}
	v.http = http.Server{
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: mostHeader, TLSConfig: o.TLS.Clone(),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			if c, ok := c.(*admitted); ok && c.spare {
				return context.WithValue(ctx, spare{}, true)
			}
			return ctx
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(spare{}) != nil {
				turnAway(w, r)
			} else {
				s.serve(w, r, v.stopping)
			}
		}),
	}
	return v
}

func turnAway(w http.ResponseWriter, r *http.Request) {
	(&port{conn: http.NewResponseController(w)}).begin()
	w.Header().Set("Connection", "close")
	newCall(nil, r, "", "").encode("", newID(), nil, busy).write(w)
}

// spare is the key in the context of connections beyond the limit.
type spare struct{}

// listen opens one port on the host, or on both loopback addresses.
func listen(host, number string) ([]net.Listener, error) {
	if host != "" {
		l, err := net.Listen("tcp", net.JoinHostPort(host, number))
		return []net.Listener{l}, err
	}
	const tries = 10 // a port that is free on one address need not be so on the other
	for try := 1; ; try++ {
		four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", number))
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(four.Addr().String())
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", port))
		switch {
		case err == nil:
			return []net.Listener{four, six}, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return []net.Listener{four}, nil // there is no IPv6
		case try == tries || number == port:
			four.Close()
			return nil, err
		}
		four.Close()
	}
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// URL returns what clients take as their endpoint: the address of the port, or if the
// Service does not answer to that, the first of Options.Hosts. If there is none, the URL
// for all addresses is that of loopback, and another address can not be used.
func (v *Server) URL() string {
	scheme := "http"
	if v.tls {
		scheme = "https"
	}
	address := v.listeners[0].Addr().String()
	host, number, _ := net.SplitHostPort(address)
	switch ip := net.ParseIP(host); {
	case v.service.answersTo(address):
	case len(v.service.o.Hosts) > 0:
		host = v.service.o.Hosts[0]
	case ip.IsUnspecified():
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, number)
}

// Serve answers clients until Shutdown or Close. It blocks, and then returns nil. It may
// be called once.
func (v *Server) Serve() error {
	errs := make(chan error)
	for _, l := range v.listeners {
		go func() {
			if v.tls {
				errs <- v.http.ServeTLS(l, "", "")
			} else {
				errs <- v.http.Serve(l)
			}
		}()
	}
	var failed error
	for range v.listeners {
		if err := <-errs; !errors.Is(err, http.ErrServerClosed) {
			failed = errors.Join(failed, err)
			v.http.Close()
		}
	}
	return failed
}

// Shutdown closes the ports, tells receives that wait that nothing came, and returns when
// all requests are answered, or with ctx's error.
func (v *Server) Shutdown(ctx context.Context) error {
	v.stop()
	return errors.Join(v.http.Shutdown(ctx), v.closeUnserved())
}

// Close closes the ports and all connections.
func (v *Server) Close() error {
	v.stop()
	return errors.Join(v.http.Close(), v.closeUnserved())
}

// closeUnserved closes listeners that Serve was not called for.
func (v *Server) closeUnserved() error {
	for _, l := range v.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// A door counts connections.
type door struct {
	most int64
	open atomic.Int64
	room chan struct{} // taken by all that are accepted or about to be
}

func newDoor(most int) *door {
	most = min(most, math.MaxInt-spareConns)
	return &door{most: int64(most), room: make(chan struct{}, most+spareConns)}
}

// A limited listener accepts while there is room.
type limited struct {
	net.Listener
	*door
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &admitted{Conn: c, door: l.door, spare: l.open.Add(1) > l.most}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// An admitted connection makes room when it is closed.
type admitted struct {
	net.Conn
	*door
	once  sync.Once
	spare bool // beyond the limit
}

func (c *admitted) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.open.Add(-1)
		<-c.room
	})
	return err
}
