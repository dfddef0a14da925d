package entry

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/sirupsen/logrus"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// An sqsService is a way to have a queue service in a test.
type sqsService struct {
	name  string
	start startSQS
}

// sqsServices are in this process, without a port and on one, and in a process of their own.
var sqsServices = []sqsService{
	{"in process", sqsInProcess},
	{"loopback", sqsOnLoopback},
	{"goaws", goaws},
	{"loopback, own process", func() (sqs.Options, func(), error) { return ownProcess("sqshttp", false) }},
	{"goaws, own process, no log", func() (sqs.Options, func(), error) { return ownProcess("goaws without log", false) }},
	{"goaws, own process", func() (sqs.Options, func(), error) { return ownProcess("goaws", false) }},
	{"goaws, own process, log read", func() (sqs.Options, func(), error) { return ownProcess("goaws", true) }},
}

// sdkAlone is what the SDK itself takes: its requests get answers that were given before.
func sdkAlone() (o sqs.Options, stop func(), err error) {
	s, err := sqshttp.New(sqshttp.Options{})
	if err != nil {
		return o, nil, err
	}
	return sqs.Options{HTTPClient: &parrot{s, map[string][]byte{}}}, s.Close, nil
}

// A parrot asks a service once for each action.
type parrot struct {
	*sqshttp.Service
	answers map[string][]byte
}

func (p *parrot) Do(r *http.Request) (*http.Response, error) {
	action := r.Header.Get("X-Amz-Target")
	answer, known := p.answers[action]
	if !known {
		resp, err := p.Service.Do(r)
		if err != nil {
			return nil, err
		}
		if answer, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		p.answers[action] = answer
	}
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: r,
	}, nil
}

const serviceVar = "BENCHMARK_SQS_SERVICE"

// The test binary is also the services that have processes of their own. goaws's own
// program logs two lines for each message that is sent and deleted, as JSON, unless it is
// told -loglevel; the log goes to standard error here, as the test reads what comes on
// standard output.
func TestMain(m *testing.M) {
	var o sqs.Options
	var err error
	switch os.Getenv(serviceVar) {
	case "":
		os.Exit(m.Run())
	case "sqshttp":
		o, err = listen()
	case "goaws":
		o, _, err = goaws()
		logrus.SetFormatter(&logrus.JSONFormatter{})
		logrus.SetOutput(os.Stderr)
	case "goaws without log":
		o, _, err = goaws()
		logrus.SetLevel(logrus.PanicLevel)
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(*o.BaseEndpoint)
	io.Copy(io.Discard, os.Stdin) // until this is stopped, or who has started it has ended
}

func listen() (o sqs.Options, err error) {
	s, err := sqshttp.New(sqshttp.Options{})
	if err != nil {
		return o, err
	}
	server, err := s.Listen(sqshttp.ListenOptions{Address: "127.0.0.1:0"})
	if err != nil {
		return o, err
	}
	go server.Serve()
	return sqs.Options{BaseEndpoint: aws.String(server.URL())}, nil
}

// ownProcess starts a service. Its log goes nowhere, or if it is to be read through a pipe
// to another process, as a container's does.
func ownProcess(service string, logRead bool) (sqs.Options, func(), error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serviceVar+"="+service)
	if logRead {
		reader := exec.Command("cat")
		from, to, err := os.Pipe()
		if err != nil {
			return sqs.Options{}, nil, err
		}
		defer from.Close()
		defer to.Close()
		reader.Stdin, cmd.Stderr = from, to
		if err := reader.Start(); err != nil {
			return sqs.Options{}, nil, err
		}
		defer func() { go reader.Wait() }() // it ends with the service
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return sqs.Options{}, nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return sqs.Options{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return sqs.Options{}, nil, err
	}
	stop := func() {
		in.Close()
		cmd.Wait()
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return sqs.Options{}, nil, fmt.Errorf("%s has not started: %w", service, err)
	}
	url = strings.TrimSpace(url)
	return sqs.Options{BaseEndpoint: &url}, stop, nil
}

// BenchmarkClient is a message sent, received and deleted by the Go SDK: three calls,
// signed as they are by default, and not.
func BenchmarkClient(b *testing.B) {
	for _, service := range append([]sqsService{{"the SDK alone", sdkAlone}}, sqsServices...) {
		for _, way := range []struct {
			name        string
			credentials aws.CredentialsProvider
		}{{"signed", signing}, {"anonymous", aws.AnonymousCredentials{}}} {
			b.Run(service.name+"/"+way.name, func(b *testing.B) {
				q := open(b, service.start, way.credentials)
				defer q.Close()
				for b.Loop() {
					if err := q.Send(b.Context(), []byte("x")); err != nil {
						b.Fatal(err)
					}
					_, receipt, err := q.Receive(b.Context())
					if err == nil {
						err = q.Delete(b.Context(), receipt)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStart is a service, a client and a queue that the client makes. A process of its
// own is this test binary, which starts no faster or slower for goaws; a container comes on
// top.
func BenchmarkStart(b *testing.B) {
	for _, service := range sqsServices {
		b.Run(service.name, func(b *testing.B) {
			for b.Loop() {
				q := open(b, service.start, signing)
				b.StopTimer()
				q.Close()
				b.StartTimer()
			}
		})
	}
}

func open(b *testing.B, start startSQS, credentials aws.CredentialsProvider) Queue[string] {
	q, err := openSQS(Setup{}, start, credentials)
	if err != nil {
		b.Fatal(err)
	}
	return q
}
