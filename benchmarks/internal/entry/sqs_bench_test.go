package entry

import (
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dabchickmq/dabchick/sqshttp"
)

// sqsServices are the ways to have a queue service in a test, each in this process.
// start makes one, and returns the SDK's settings for it.
var sqsServices = []struct {
	name  string
	start func() (o sqs.Options, stop func(), err error)
}{
	{"in process", func() (sqs.Options, func(), error) {
		s, err := sqshttp.New(sqshttp.Options{})
		if err != nil {
			return sqs.Options{}, nil, err
		}
		return sqs.Options{HTTPClient: s}, s.Close, nil
	}},
	{"loopback", func() (sqs.Options, func(), error) {
		s, err := sqshttp.New(sqshttp.Options{})
		if err != nil {
			return sqs.Options{}, nil, err
		}
		server := httptest.NewServer(s)
		return sqs.Options{BaseEndpoint: &server.URL}, func() {
			server.Close()
			s.Close()
		}, nil
	}},
	{"goaws", func() (sqs.Options, func(), error) {
		url, stop, err := serveGoaws()
		return sqs.Options{BaseEndpoint: &url}, stop, err
	}},
}

// BenchmarkClient is a message sent, received and deleted by the Go SDK: three calls,
// signed as they are by default, and not.
func BenchmarkClient(b *testing.B) {
	for _, service := range sqsServices {
		for _, way := range []struct {
			name        string
			credentials aws.CredentialsProvider
		}{{"signed", signing}, {"anonymous", aws.AnonymousCredentials{}}} {
			b.Run(service.name+"/"+way.name, func(b *testing.B) {
				q := startSQS(b, service.start, way.credentials)
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

// BenchmarkStart is a service, a client and a queue that the client makes. What starts a
// program or a container beside the test, where goaws runs mostly, is not in it.
func BenchmarkStart(b *testing.B) {
	for _, service := range sqsServices {
		b.Run(service.name, func(b *testing.B) {
			for b.Loop() {
				q := startSQS(b, service.start, signing)
				b.StopTimer()
				q.Close()
				b.StartTimer()
			}
		})
	}
}

func startSQS(b *testing.B, start func() (sqs.Options, func(), error), credentials aws.CredentialsProvider) Queue[string] {
	o, stop, err := start()
	if err != nil {
		b.Fatal(err)
	}
	o.Credentials = credentials
	q, err := openSQS(Setup{}, o, stop)
	if err != nil {
		b.Fatal(err)
	}
	return q
}
