package sqshttp_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dabchickmq/dabchick/sqshttp"
)

var flood = flag.Duration("flood", 0, "how long each part of TestFlood lasts, in its long form")

// The test binary is also the server of TestFlood, and those who flood it, in processes
// of their own.
func TestMain(m *testing.M) {
	switch role := os.Getenv("SQSHTTP_FLOOD"); role {
	case "":
		goleak.VerifyTestMain(m)
	case "server":
		floodServer()
	default:
		attack(role)
	}
}

// floodServer serves until its standard input ends.
func floodServer() {
	s, err := sqshttp.New(sqshttp.Options{})
	for _, name := range []string{"honest", "idle"} {
		if err == nil {
			_, err = s.CreateQueue(name, nil)
		}
	}
	var v *sqshttp.Server
	if err == nil {
		v, err = s.Listen(sqshttp.ListenOptions{Address: "127.0.0.1:0", MaxConns: 25_000})
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(v.URL())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		v.Close()
	}()
	if err := v.Serve(); err != nil {
		panic(err)
	}
}

// attack does what its role says, "slow 100 127.0.0.1:1234": over 100 connections at a
// time, until its standard input ends. It tells when all are there, and at the end how
// often what has happened.
func attack(role string) {
	var kind, addr string
	var n int
	if _, err := fmt.Sscan(role, &kind, &n, &addr); err != nil {
		panic(err)
	}
	var mu sync.Mutex
	happened := map[string]int{}
	count := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		happened[what]++
	}
	const post = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS."
	var text string
	switch kind {
	case "slow":
		text = post // and no more
	case "polls":
		body := `{"QueueUrl":"idle","WaitTimeSeconds":20}`
		text = fmt.Sprintf("%sReceiveMessage\r\nContent-Length: %d\r\n\r\n%s", post, len(body), body)
	case "bodies":
		const size = 8 << 20
		body := `{"QueueUrl":"idle","MessageBody":"`
		text = fmt.Sprintf("%sSendMessage\r\nContent-Length: %d\r\n\r\n%s%s\"}", post, size, body, strings.Repeat("x", size-len(body)-2))
	}
	ended := make(chan struct{})
	var open atomic.Int64
	all := make(chan struct{})
	var once sync.Once
	dialing := make(chan struct{}, 100) // as many as fit into the queue of the port
	// one is a connection from its beginning to its end.
	one := func() {
		dialing <- struct{}{}
		c, err := net.Dial("tcp", addr)
		<-dialing
		if err != nil {
			count("not connected")
			return
		}
		defer c.Close()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-ended:
				c.Close()
			case <-stop:
			}
		}()
		if open.Add(1) == int64(n) {
			once.Do(func() { close(all) })
		}
		defer open.Add(-1)
		answers := bufio.NewReaderSize(c, 512)
		for {
			if _, err := io.WriteString(c, text); err != nil {
				count("cut off")
				return
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				count("cut off")
				return
			}
			count(resp.Status)
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.Close {
				return
			}
		}
	}
	var work sync.WaitGroup
	for range n {
		work.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					one()
				}
			}
		})
	}
	<-all
	fmt.Println("all there")
	io.Copy(io.Discard, os.Stdin)
	held := open.Load()
	mu.Lock()
	fmt.Println(held, "at the end;", happened)
	mu.Unlock()
	close(ended)
	work.Wait()
}

// A process is this test binary in a role.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

func begin(t *testing.T, role string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SQSHTTP_FLOOD="+role, "GOMEMLIMIT=400MiB") // or garbage takes as much as what is used
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &process{cmd, in, bufio.NewReader(out)}
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	text, err := p.out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(text)
}

// end ends the process, and returns what it says at its end.
func (p *process) end(t *testing.T) string {
	t.Helper()
	require.NoError(t, p.in.Close())
	rest, err := io.ReadAll(p.out)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait())
	return strings.TrimSpace(string(rest))
}

// mostMemory returns the most memory that a process has had, where it can be known.
func (p *process) mostMemory() (mib int, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); err == nil && m != nil {
		kib, err := strconv.Atoi(string(m[1]))
		return kib >> 10, err == nil
	}
	return 0, false
}

// honest sends, receives and deletes messages, one call after the other, and returns how
// long each call took.
func honest(t *testing.T, url string) []time.Duration {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var took []time.Duration
	do := func(action, body string) string {
		r, err := http.NewRequest("POST", url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
		began := time.Now()
		resp, err := client.Do(r)
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		took = append(took, time.Since(began))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode, "%s: %s", action, &b)
		return b.String()
	}
	handle := regexp.MustCompile(`"ReceiptHandle":"([^"]+)"`)
	for began := time.Now(); len(took) < 90 || time.Since(began) < *flood; {
		do("SendMessage", `{"QueueUrl":"honest","MessageBody":"x"}`)
		m := handle.FindStringSubmatch(do("ReceiveMessage", `{"QueueUrl":"honest","WaitTimeSeconds":1}`))
		require.NotNil(t, m)
		do("DeleteMessage", `{"QueueUrl":"honest","ReceiptHandle":"`+m[1]+`"}`)
	}
	return took
}

// An honest client is served while others flood the port, and memory stays bounded. The
// long form holds as many connections as section "What was measured" of docs/security.md
// says:
//
//	go test ./sqshttp -run TestFlood -v -args -flood 60s
func TestFlood(t *testing.T) {
	slow, polls, bodies := 40, 40, 4
	if *flood > 0 {
		slow, polls, bodies = 10_000, 10_000, 200
	}
	for _, roles := range [][]string{
		{},
		{fmt.Sprintf("slow %d", slow)},
		{fmt.Sprintf("polls %d", polls)},
		{fmt.Sprintf("slow %d", slow*9/10), fmt.Sprintf("polls %d", polls*9/10)}, // 20,000 descriptors in all
		{fmt.Sprintf("bodies %d", bodies)},
	} {
		t.Run(strings.Join(append(roles, "honest"), " "), func(t *testing.T) { flooded(t, roles) })
	}
	t.Logf("%s, %d cores", runtime.Version(), runtime.GOMAXPROCS(0))
}

// flooded is a server, those who flood it and an honest client.
func flooded(t *testing.T, roles []string) {
	server := begin(t, "server")
	url := server.line(t)
	var attackers []*process
	for _, role := range roles {
		p := begin(t, role+" "+strings.TrimPrefix(url, "http://"))
		require.Equal(t, "all there", p.line(t))
		attackers = append(attackers, p)
	}
	took := honest(t, url)
	slices.Sort(took)
	memory, known := server.mostMemory()
	t.Logf("%d calls, median %v, p99 %v, longest %v; server's memory at most %d MiB", len(took), took[len(took)/2].Round(time.Microsecond),
		took[len(took)*99/100].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond), memory)
	for i, p := range attackers {
		said := p.end(t)
		t.Logf("  %s: %s", roles[i], said)
		if !strings.HasPrefix(roles[i], "bodies") { // which may be told to come again
			require.NotContains(t, said, "503", "within the limits nobody is turned away")
		}
	}
	server.end(t)
	if *flood > 0 && len(roles) > 0 {
		require.Less(t, took[len(took)*99/100], 50*time.Millisecond)
		require.True(t, !known || memory < 512, "memory")
	}
}
