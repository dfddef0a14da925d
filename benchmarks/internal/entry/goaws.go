package entry

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/Admiral-Piett/goaws/app/conf"
	"github.com/Admiral-Piett/goaws/app/gosqs"
	"github.com/Admiral-Piett/goaws/app/router"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	log "github.com/sirupsen/logrus"
)

// Goaws is an emulator of SQS. Its own main function listens on all addresses of the
// machine, so its handler is served here, which also is just how sqshttp is.
var Goaws = Entry[string]{
	Info: Info{Name: "goaws", Kind: Peer, Leases: true, Unit: time.Second, Groups: true, Batches: 10,
		What: "goaws 0.5.4, its handler on a loopback port of this process; it looks for timeouts once a second"},
	Open: func(s Setup) (Queue[string], error) { return openSQS(s, goaws, signing) },
}

func goaws() (o sqs.Options, stop func(), err error) {
	if err := configureGoaws(); err != nil {
		return o, nil, err
	}
	quit := make(chan bool)
	go gosqs.PeriodicTasks(time.Second, quit)
	server := httptest.NewServer(router.New())
	return sqs.Options{BaseEndpoint: &server.URL}, func() {
		server.Close()
		close(quit)
	}, nil
}

// goawsConfig has the defaults of the file that comes with it, and no queues.
const goawsConfig = `
Local:
  Host: localhost
  Port: 4100
  Region: us-east-1
  AccountId: "100010001000"
  QueueAttributeDefaults:
    VisibilityTimeout: 30
    ReceiveMessageWaitTimeSeconds: 0
    MaximumMessageSize: 262144
`

func configureGoaws() error {
	log.SetOutput(io.Discard)
	dir, err := os.MkdirTemp("", "goaws")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "goaws.yaml")
	if err := os.WriteFile(file, []byte(goawsConfig), 0o600); err != nil {
		return err
	}
	conf.LoadYamlConfig(file, "Local")
	return nil
}
