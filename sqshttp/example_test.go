package sqshttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

// A service on a loopback port, for clients in any language.
func ExampleService_ServeHTTP() {
	service, _ := sqshttp.New(sqshttp.Options{})
	service.CreateQueue("orders", nil)
	server := httptest.NewServer(service)
	defer server.Close()

	form := strings.NewReader("Action=GetQueueAttributes&AttributeName.1=QueueArn")
	resp, _ := http.Post(server.URL+"/000000000000/orders", "application/x-www-form-urlencoded", form)
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// A port that only this machine reaches, with limits on what clients may take.
func ExampleService_Listen() {
	service, _ := sqshttp.New(sqshttp.Options{})
	server, err := service.Listen(sqshttp.ListenOptions{}) // a free port
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		resp, err := http.Get(server.URL() + "/?Action=CreateQueue&QueueName=orders")
		if err == nil {
			resp.Body.Close()
			fmt.Println(resp.Status)
		}
		server.Shutdown(context.Background())
	}()
	fmt.Println(server.Serve())
	// Output:
	// 200 OK
	// <nil>
}

// A queue of the service is used natively beside its clients.
func ExampleService_CreateQueue() {
	service, _ := sqshttp.New(sqshttp.Options{})
	q, err := service.CreateQueue("orders.fifo", map[string]string{"FifoQueue": "true"})
	fmt.Println(q.Name(), q.Options().FIFO, err)
	_, err = service.CreateQueue("orders", map[string]string{"FifoQueue": "true"})
	fmt.Println(err.(*sqshttp.Error).Code)
	// Output:
	// orders.fifo true <nil>
	// InvalidParameterValue
}

// A queue that the program has already is given to clients too.
func ExampleRegister() {
	thumbnails, _ := dabchick.New("thumbnails", dabchick.Options[[]byte]{VisibilityTimeout: time.Minute})
	service, _ := sqshttp.New(sqshttp.Options{})
	fmt.Println(sqshttp.Register(service, thumbnails))

	form := strings.NewReader("Action=SendMessage&MessageBody=cat.png") // as any client of SQS sends it
	r := httptest.NewRequest("POST", "http://localhost/000000000000/thumbnails", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, _ := service.Do(r)
	resp.Body.Close()

	m, _ := thumbnails.TryReceive()
	fmt.Printf("%s\n", m.Body)
	// Output:
	// <nil>
	// cat.png
}
