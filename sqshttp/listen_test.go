package sqshttp

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
)

// pipes is a listener without a network: in a bubble, time passes for its connections.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9324} }

// connect returns a connection, or false if it is not accepted at once.
func (p *pipes) connect() (net.Conn, bool) {
	ours, theirs := net.Pipe()
	synctest.Wait()
	select {
	case p.conns <- theirs:
		return ours, true
	default:
		return nil, false
	}
}

// serving runs a test against a server in a bubble, with a queue q.
func serving(t *testing.T, o Options, l ListenOptions, test func(t *testing.T, s *Service, v *Server, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(o)
		require.NoError(t, err)
		_, err = s.CreateQueue("q", nil)
		require.NoError(t, err)
		p := newPipes()
		v := s.newServer([]net.Listener{p}, l)
		served := make(chan error)
		go func() { served <- v.Serve() }()
		test(t, s, v, p)
		require.NoError(t, v.Close())
		require.NoError(t, <-served)
		s.Close()
		time.Sleep(time.Minute) // until clients have noticed
	})
}

func mustConnect(t *testing.T, p *pipes) net.Conn {
	t.Helper()
	c, ok := p.connect()
	require.True(t, ok, "a connection")
	return c
}

// request is the text of one in the JSON protocol.
func request(action, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.%s\r\nContent-Length: %d\r\n\r\n%s", action, len(body), body)
}

// reply reads an answer.
func reply(t *testing.T, c net.Conn) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(b)
}

// untilClosed returns after how long the other side has closed the connection, and what
// it said.
func untilClosed(c net.Conn) (time.Duration, string) {
	began := time.Now()
	b, _ := io.ReadAll(c)
	return time.Since(began), string(b)
}

// drip writes a byte each second until that fails.
func drip(c net.Conn, text string) {
	for _, b := range []byte(text) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		c := mustConnect(t, p)
		go drip(c, request("ListQueues", "{}"))
		after, _ := untilClosed(c)
		require.Equal(t, 5*time.Second, after.Truncate(time.Second))
	})
}

// A send whose body does not come is refused, and stores nothing.
func TestSlowBodyIsCutOff(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		c := mustConnect(t, p)
		body := `{"QueueUrl":"q","MessageBody":"x"}`
		header, _, _ := strings.Cut(request("SendMessage", body+strings.Repeat(" ", 100)), "{")
		_, err := io.WriteString(c, header)
		require.NoError(t, err)
		go drip(c, body+strings.Repeat(" ", 100))
		after, text := untilClosed(c)
		require.Equal(t, 30*time.Second, after.Truncate(time.Second))
		require.Contains(t, text, "408 Request Timeout")
		require.Contains(t, text, "com.amazonaws.sqs#RequestTimeout")
		q, _ := s.Queue("q")
		_, ok := q.TryReceive()
		require.False(t, ok)
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		c := mustConnect(t, p)
		go io.WriteString(c, request("ListQueues", "{}"))
		_, body := reply(t, c)
		require.Contains(t, body, "/000000000000/q")
		after, _ := untilClosed(c)
		require.Equal(t, 2*time.Minute, after)
	})
}

// A poll is answered at its end, however short other times are, and a client that does
// not read its answer is cut off 30 s after that.
func TestPollHasTheTimeThatItWaits(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		for _, wait := range []int{0, 5, 20} {
			text := request("ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"q","WaitTimeSeconds":%d}`, wait))
			c := mustConnect(t, p)
			began := time.Now()
			go io.WriteString(c, text)
			_, body := reply(t, c)
			require.Equal(t, "{}", body)
			require.Equal(t, time.Duration(wait)*time.Second, time.Since(began))
			c.Close()

			c = mustConnect(t, p)
			_, err := io.WriteString(c, text) // and reads nothing
			require.NoError(t, err)
			time.Sleep(time.Duration(wait)*time.Second + writeTime - time.Second)
			synctest.Wait()
			require.EqualValues(t, 1, v.listeners[0].(*limited).open.Load())
			time.Sleep(2 * time.Second)
			synctest.Wait()
			require.Zero(t, v.listeners[0].(*limited).open.Load(), "after %d s", wait)
			c.Close()
		}
	})
}

// The limit on reading a body does not end the poll that the body asked for.
func TestPollWhoseBodyWasSlowIsAnswered(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		header, body, _ := strings.Cut(request("ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":20}`), "{")
		c := mustConnect(t, p)
		_, err := io.WriteString(c, header)
		require.NoError(t, err)
		time.Sleep(readTime - time.Second)
		began := time.Now()
		go io.WriteString(c, "{"+body)
		_, answered := reply(t, c)
		require.Equal(t, "{}", answered)
		require.Equal(t, 20*time.Second, time.Since(began))
	})
}

// A send that waits for room is answered when it has it, however long that takes: else its
// client would send the message again.
func TestSendThatWaitsForRoomIsAnswered(t *testing.T) {
	for name, text := range map[string]string{
		"POST": request("SendMessage", `{"QueueUrl":"full","MessageBody":"second"}`),
		"GET":  "GET /000000000000/full?Action=SendMessage&MessageBody=second HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
				q, err := dabchick.New("full", dabchick.Options[string]{MaxMessages: 1})
				require.NoError(t, err)
				require.NoError(t, Register(s, q))
				_, err = q.Send(t.Context(), "first")
				require.NoError(t, err)
				c := mustConnect(t, p)
				_, err = io.WriteString(c, text)
				require.NoError(t, err)
				for range 2 {
					time.Sleep(readTime + writeTime)
					synctest.Wait()
				}
				_, err = q.Purge(t.Context())
				require.NoError(t, err)
				resp, _ := reply(t, c)
				require.Equal(t, 200, resp.StatusCode)
				m, ok := q.TryReceive()
				require.True(t, ok)
				require.Equal(t, "second", m.Body)
			})
		})
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		for size, want := range map[int]string{60 << 10: "200 OK", 70 << 10: "431 Request Header Fields Too Large"} {
			c := mustConnect(t, p)
			go io.WriteString(c, strings.Replace(request("ListQueues", "{}"), "Host:", "X-Long: "+strings.Repeat("x", size)+"\r\nHost:", 1))
			line, err := bufio.NewReader(c).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "HTTP/1.1 "+want, strings.TrimSpace(line))
			c.Close()
		}
	})
}

// Connections beyond the limit are told to come again, and beyond that they wait.
func TestConnectionsAreLimited(t *testing.T) {
	serving(t, Options{}, ListenOptions{MaxConns: 2}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		first := mustConnect(t, p)
		mustConnect(t, p)
		for target, want := range map[string]string{
			"X-Amz-Target: AmazonSQS.ListQueues": "com.amazonaws.sqs#ServiceUnavailable", "X-Other: x": "<Code>ServiceUnavailable</Code>",
		} {
			c := mustConnect(t, p)
			go io.WriteString(c, "GET /?Action=ListQueues HTTP/1.1\r\nHost: localhost\r\n"+target+"\r\n\r\n")
			resp, body := reply(t, c)
			require.Equal(t, 503, resp.StatusCode)
			require.Equal(t, "1", resp.Header.Get("Retry-After"))
			require.True(t, resp.Close)
			require.Contains(t, body, want)
			c.Close()
		}
		for range spareConns {
			mustConnect(t, p)
		}
		_, ok := p.connect()
		require.False(t, ok, "one more")
		first.Close()
		synctest.Wait()
		mustConnect(t, p)
		time.Sleep(headerTime) // all of them have said nothing
		c := mustConnect(t, p)
		go io.WriteString(c, request("ListQueues", "{}"))
		resp, _ := reply(t, c)
		require.Equal(t, 200, resp.StatusCode)
		c.Close()
	})
}

func TestPollsAreLimited(t *testing.T) {
	serving(t, Options{MaxPolls: 2}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		poll := request("ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":10}`)
		gone := mustConnect(t, p)
		for _, c := range []net.Conn{gone, mustConnect(t, p)} {
			_, err := io.WriteString(c, poll)
			require.NoError(t, err)
		}
		synctest.Wait()
		c := mustConnect(t, p)
		go io.WriteString(c, poll)
		resp, body := reply(t, c)
		require.Equal(t, 503, resp.StatusCode)
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
		require.Equal(t, "ServiceUnavailable;Receiver", resp.Header.Get("X-Amzn-Query-Error"))
		require.Contains(t, body, "ServiceUnavailable")

		go io.WriteString(c, request("ReceiveMessage", `{"QueueUrl":"q"}`))
		resp, _ = reply(t, c)
		require.Equal(t, 200, resp.StatusCode, "a receive that does not wait")
		gone.Close() // who goes away makes room at once
		synctest.Wait()
		go io.WriteString(c, poll)
		resp, _ = reply(t, c)
		require.Equal(t, 200, resp.StatusCode)
		c.Close()
	})
}

func TestShutdownAnswersPolls(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		c := mustConnect(t, p)
		_, err := io.WriteString(c, request("ReceiveMessage", `{"QueueUrl":"q","WaitTimeSeconds":20}`))
		require.NoError(t, err)
		synctest.Wait()
		began := time.Now()
		down := make(chan error)
		go func() { down <- v.Shutdown(t.Context()) }()
		resp, body := reply(t, c)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "{}", body)
		require.NoError(t, <-down)
		require.Less(t, time.Since(began), 5*time.Second)
	})
}

// What a poll was asked for is held for as long as it waits, so it is not much.
func TestLargePollIsRefused(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		for _, poll := range []struct{ size, wait, status int }{{smallBody, 1, 200}, {smallBody + 1, 1, 413}, {smallBody + 1, 0, 200}} {
			body := fmt.Sprintf(`{"QueueUrl":"q","WaitTimeSeconds":%d}`, poll.wait)
			c := mustConnect(t, p)
			go io.WriteString(c, request("ReceiveMessage", body+strings.Repeat(" ", poll.size-len(body))))
			resp, text := reply(t, c)
			require.Equal(t, poll.status, resp.StatusCode, "%+v: %s", poll, text)
			c.Close()
		}
	})
}

// Large bodies have so much room, by their size. Who sends slowly has it for 2 s, and the
// small ones and those of other sizes never wait for it.
func TestLargeBodiesWaitForRoom(t *testing.T) {
	for size, room := range rooms {
		serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
			body := func(bytes int) string { return request("ListQueues", strings.Repeat(" ", bytes)) }
			const some = 2 * smallBody
			for range room.bodies {
				c := mustConnect(t, p)
				defer c.Close()
				_, err := io.WriteString(c, body(room.bytes)[:some])
				require.NoError(t, err)
			}
			waits := mustConnect(t, p)
			defer waits.Close()
			read := make(chan error)
			go func() {
				_, err := io.WriteString(waits, body(room.bytes)[:some])
				read <- err
				io.WriteString(waits, body(room.bytes)[some:])
			}()
			synctest.Wait()
			select {
			case <-read:
				require.Fail(t, "more was read than there is room for")
			default:
			}
			began := time.Now()
			for other, r := range rooms {
				if other != size {
					c := mustConnect(t, p)
					go io.WriteString(c, body(r.bytes))
					resp, text := reply(t, c)
					require.Equal(t, 400, resp.StatusCode, "it was read, and is not JSON: %s", text)
					c.Close()
				}
			}
			c := mustConnect(t, p)
			go io.WriteString(c, request("ListQueues", "{}"))
			resp, _ := reply(t, c)
			require.Equal(t, 200, resp.StatusCode, "a small one")
			c.Close()
			require.Zero(t, time.Since(began))

			require.NoError(t, <-read)
			resp, text := reply(t, waits)
			require.Equal(t, 400, resp.StatusCode, text)
			require.Contains(t, text, "SerializationException")
			require.Equal(t, paceTime, time.Since(began))
			synctest.Wait()
			for _, r := range s.limits.rooms {
				require.Empty(t, r)
			}
		})
	}
}

// A large body may take its time, as long as it keeps the pace.
func TestLargeBodyKeepsItsPace(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		for _, every := range []time.Duration{paceTime - time.Millisecond, paceTime + time.Millisecond} {
			c := mustConnect(t, p)
			text := request("ListQueues", strings.Repeat(" ", 5*paceBytes))
			go func() {
				for len(text) > 0 {
					n, err := io.WriteString(c, text[:min(paceBytes, len(text))])
					if err != nil {
						return
					}
					text = text[n:]
					time.Sleep(every)
				}
			}()
			resp, answered := reply(t, c)
			want := map[bool]int{true: 400, false: 408}[every < paceTime]
			require.Equal(t, want, resp.StatusCode, "%v: %s", every, answered)
			c.Close()
		}
	})
}

func TestWhoFindsNoRoomIsToldSo(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		room := s.limits.rooms[0]
		for range cap(room) {
			room <- struct{}{}
		}
		c := mustConnect(t, p)
		began := time.Now()
		go io.WriteString(c, request("ListQueues", strings.Repeat(" ", smallBody+1)))
		resp, _ := reply(t, c)
		require.Equal(t, 503, resp.StatusCode)
		require.Equal(t, "1", resp.Header.Get("Retry-After"))
		require.Equal(t, readTime, time.Since(began))
		require.Len(t, room, cap(room), "others have it")
		c.Close()
	})
}

// Large bodies are decoded in turn, so that a processor is left for the small ones.
func TestLargeBodiesAreDecodedInTurn(t *testing.T) {
	serving(t, Options{}, ListenOptions{}, func(t *testing.T, s *Service, v *Server, p *pipes) {
		busy := s.limits.decoders
		require.LessOrEqual(t, cap(busy), max(1, runtime.GOMAXPROCS(0)/2))
		for range cap(busy) {
			busy <- struct{}{}
		}
		large := mustConnect(t, p)
		answered := make(chan int)
		for _, n := range []int{smallBody, smallBody + 1} { // the length of what is sent
			body := `{"QueueUrl":"q","MessageBody":"x"}`
			go io.WriteString(large, request("SendMessage", body+strings.Repeat(" ", n-len(body))))
			go func() {
				resp, _ := reply(t, large)
				answered <- resp.StatusCode
			}()
			if n == smallBody {
				require.Equal(t, 200, <-answered)
			}
		}
		time.Sleep(time.Second)
		select {
		case <-answered:
			require.Fail(t, "it was not its turn")
		default:
		}
		<-busy
		require.Equal(t, 200, <-answered)
		require.Len(t, busy, cap(busy)-1, "it has made room")
		large.Close()
	})
}

func TestListenOpensLoopbackUnlessToldOtherwise(t *testing.T) {
	keys := Options{Keys: map[string]string{"AKIDEXAMPLE": "secret"}}
	for _, c := range []struct {
		o  Options
		l  ListenOptions
		ok bool
	}{
		{Options{}, ListenOptions{}, true},
		{Options{}, ListenOptions{Address: ":0"}, true},
		{Options{}, ListenOptions{Address: "localhost:0"}, true},
		{Options{}, ListenOptions{Address: "0.0.0.0:0"}, false},
		{Options{}, ListenOptions{Address: "[::]:0"}, false},
		{Options{}, ListenOptions{Address: "0.0.0.0:0", Unsafe: true}, true},
		{keys, ListenOptions{Address: "0.0.0.0:0"}, true},
		{Options{}, ListenOptions{Address: "9324"}, false},
		{Options{}, ListenOptions{MaxConns: -1}, false},
		{Options{}, ListenOptions{MaxConns: math.MaxInt}, true},
	} {
		s, err := New(c.o)
		require.NoError(t, err)
		v, err := s.Listen(c.l)
		if !c.ok {
			var invalid *dabchick.InvalidError
			require.ErrorAs(t, err, &invalid, "%+v", c.l)
			continue
		}
		require.NoError(t, err, "%+v", c.l)
		for _, l := range v.listeners {
			loopback := l.Addr().(*net.TCPAddr).IP.IsLoopback()
			require.Equal(t, !strings.HasPrefix(c.l.Address, "0.0.0.0"), loopback, "%+v", c.l)
		}
		require.NoError(t, v.Close())
		require.NoError(t, v.Serve(), "after Close")
	}
}

// Over real sockets, on both loopback addresses.
func TestListenAnswers(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	v, err := s.Listen(ListenOptions{})
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- v.Serve() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, l := range v.listeners {
		resp, err := client.Get("http://" + l.Addr().String() + "/?Action=ListQueues")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
	}
	require.True(t, strings.HasPrefix(v.URL(), "http://127.0.0.1:"), v.URL())
	_, err = s.Listen(ListenOptions{Address: strings.TrimPrefix(v.URL(), "http://127.0.0.1")})
	require.ErrorContains(t, err, "in use")
	require.NoError(t, v.Shutdown(t.Context()))
	require.NoError(t, <-served)
}

// The URL of a server is one under which it answers.
func TestServerAnswersUnderItsURL(t *testing.T) {
	anywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: 9324}
	one := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9324}
	for _, x := range []struct {
		hosts []string
		addr  net.Addr
		tls   *tls.Config
		url   string
	}{
		{nil, &net.TCPAddr{IP: net.IPv6loopback, Port: 9324}, nil, "http://[::1]:9324"},
		{nil, anywhere, nil, "http://127.0.0.1:9324"},
		{[]string{"sqs.example.org", "192.0.2.1"}, anywhere, &tls.Config{}, "https://sqs.example.org:9324"},
		{[]string{"2001:db8::1"}, anywhere, nil, "http://[2001:db8::1]:9324"},
		{[]string{"sqs.example.org"}, one, nil, "http://sqs.example.org:9324"}, // it was to listen on that name
		{[]string{"sqs.example.org", "192.0.2.1"}, one, nil, "http://192.0.2.1:9324"},
		{nil, one, nil, "http://192.0.2.1:9324"}, // no name will do
	} {
		s, err := New(Options{Hosts: x.hosts})
		require.NoError(t, err)
		v := s.newServer([]net.Listener{at{newPipes(), x.addr}}, ListenOptions{TLS: x.tls})
		require.Equal(t, x.url, v.URL())
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", v.URL()+"/?Action=ListQueues", nil))
		require.Equal(t, x.addr != one || len(x.hosts) > 0, w.Code == 200, x.url)
	}
}

// at is a listener with another address.
type at struct {
	net.Listener
	addr net.Addr
}

func (l at) Addr() net.Addr { return l.addr }

// An error that is not the client's, as of a disk, tells the client nothing.
func TestInternalErrorsTellNothing(t *testing.T) {
	e := asError(fmt.Errorf("receive: %w", &fs.PathError{Op: "open", Path: "/var/lib/queues/7", Err: fs.ErrPermission}))
	for _, a := range []*answer{encodeJSON(nil, e), encodeQuery("ReceiveMessage", newID(), nil, e)} {
		require.Equal(t, 500, a.status)
		require.Contains(t, string(a.body), "InternalFailure")
		for _, secret := range []string{"open", "/var", "queues", "permission"} {
			require.NotContains(t, string(a.body), secret)
		}
	}
	require.Equal(t, "InternalFailure;Receiver", encodeJSON(nil, e).header.Get("X-Amzn-Query-Error"))
}
