package sqshttp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dabchickmq/dabchick"
	"github.com/dabchickmq/dabchick/sqshttp"
)

func native[T any](t testing.TB, name string, o dabchick.Options[T]) *dabchick.Queue[T] {
	t.Helper()
	q, err := dabchick.New(name, o)
	require.NoError(t, err)
	return q
}

// bothKinds runs a test with queues of texts and of bytes.
func bothKinds(t *testing.T, texts func(*wire), bytes func(*wire)) {
	for name, test := range map[string]func(*wire){"texts": texts, "bytes": bytes} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(&wire{t, newService(t, sqshttp.Options{}), false}) })
		})
	}
}

func TestRegisteredQueueIsReachedByBoth(t *testing.T) {
	bothKinds(t, reachedByBoth[string], reachedByBoth[[]byte])
}

func reachedByBoth[T []byte | string](w *wire) {
	q := native(w, "q", dabchick.Options[T]{VisibilityTimeout: 5 * time.Second})
	require.NoError(w, sqshttp.Register(w.s, q))
	require.Equal(w, "5", w.attribute("q", "VisibilityTimeout"))

	_, err := q.SendWith(w.Context(), T("native"), dabchick.SendOptions{Attributes: map[string]dabchick.Attribute{"k": dabchick.StringAttribute("x")}})
	require.NoError(w, err)
	got := w.receive("q", m{"MessageAttributeNames": []any{"All"}})
	require.Equal(w, []string{"native"}, bodies(got))
	require.Equal(w, "a45daa70926828a2f0a1db3418e6feb4", got[0]["MD5OfMessageAttributes"])
	w.drop("q", got[0])

	out := w.ok("SendMessageBatch", m{"QueueUrl": "q", "Entries": []any{m{"Id": "a", "MessageBody": "from a client"}}})
	require.Len(w, out["Successful"], 1)
	mine, ok := q.TryReceive()
	require.True(w, ok)
	require.Equal(w, T("from a client"), mine.Body)
	require.NoError(w, mine.Delete(w.Context()))

	w.set("q", "VisibilityTimeout", "7", "DelaySeconds", "2")
	require.Equal(w, 7*time.Second, q.Options().VisibilityTimeout)
	require.Equal(w, 2*time.Second, q.Options().Delay)
	w.ok("DeleteQueue", m{"QueueUrl": "q"})
	_, err = q.Send(w.Context(), T("x"))
	require.ErrorIs(w, err, dabchick.ErrClosed)
}

func TestRegisteredQueueKeepsItsOtherOptions(t *testing.T) {
	bothKinds(t, keepsOptions[string], keepsOptions[[]byte])
}

func keepsOptions[T []byte | string](w *wire) {
	q := native(w, "q.fifo", dabchick.Options[T]{
		FIFO: true, DedupKey: dabchick.ContentKey[T], DedupScope: dabchick.DedupGroup, VisibilityTimeout: dabchick.Immediately,
		MaxMessages: 1, MaxInFlight: 3, FailFast: true,
	})
	require.NoError(w, sqshttp.Register(w.s, q))
	require.Equal(w, "true", w.attribute("q.fifo", "ContentBasedDeduplication"))
	require.Equal(w, "messageGroup", w.attribute("q.fifo", "DeduplicationScope"))
	require.Equal(w, "0", w.attribute("q.fifo", "VisibilityTimeout"))
	w.set("q.fifo", "DelaySeconds", "0")
	require.Equal(w, 1, q.Options().MaxMessages)
	w.put("q.fifo", "1", m{"MessageGroupId": "g"})
	w.refused("RequestThrottled", "SendMessage", m{"QueueUrl": "q.fifo", "MessageBody": "2", "MessageGroupId": "g"})
	require.Len(w, w.receive("q.fifo"), 1)
	require.Len(w, w.receive("q.fifo"), 1, "a timeout of 0")
}

func TestRegisteredQueueKeepsItsDedupKey(t *testing.T) {
	bothKinds(t, keepsDedupKey[string], keepsDedupKey[[]byte])
}

// keepsDedupKey has orders with a number before their text.
func keepsDedupKey[T []byte | string](w *wire) {
	q := native(w, "q.fifo", dabchick.Options[T]{FIFO: true, DedupKey: func(body T) string { return string(body[:1]) }})
	require.NoError(w, sqshttp.Register(w.s, q))
	group := m{"MessageGroupId": "g"}
	_, err := q.SendWith(w.Context(), T("1 tea"), dabchick.SendOptions{Group: "g"})
	require.NoError(w, err)
	w.put("q.fifo", "1 cup of tea", group)
	w.ok("SendMessageBatch", batch("q.fifo", entry("a", "2 coffee", group), entry("b", "2 cups of coffee", group)))
	w.put("q.fifo", "2 more", group, m{"MessageDeduplicationId": "own"})
	w.set("q.fifo", "ContentBasedDeduplication", "false")
	w.refused("InvalidParameterValue", "SendMessage", with(m{"QueueUrl": "q.fifo", "MessageBody": "1"}, group))
	w.set("q.fifo", "ContentBasedDeduplication", "true")
	w.put("q.fifo", "1 pot of tea", group)
	got := w.receive("q.fifo", m{"AttributeNames": []any{"MessageDeduplicationId"}})
	require.Equal(w, []string{"1 tea", "2 coffee", "2 more"}, bodies(got))
	require.Equal(w, texts("MessageDeduplicationId", "2"), got[1]["Attributes"])
}

// ContentBasedDeduplication of a queue that a client or the service has created is for messages
// of clients; a native one has the same id by ContentKey.
func TestCreatedQueueTakesNativeMessagesByTheirIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t, newService(t, sqshttp.Options{}), false}
		q, err := w.s.CreateQueue("q.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
		require.NoError(t, err)
		send := func(id string) {
			_, err := q.SendWith(t.Context(), "tea", dabchick.SendOptions{Group: "g", DedupID: id})
			require.NoError(t, err)
		}
		w.put("q.fifo", "tea", m{"MessageGroupId": "g"})
		send(dabchick.ContentKey("tea"))
		require.Equal(t, []string{"tea"}, bodies(w.receive("q.fifo")))
		send("")
		require.Equal(t, "1", w.attribute("q.fifo", "ApproximateNumberOfMessages"))
	})
}

func TestRegisteredQueueHasDeadLetters(t *testing.T) {
	bothKinds(t, hasDeadLetters[string], hasDeadLetters[[]byte])
}

func hasDeadLetters[T []byte | string](w *wire) {
	dead := native(w, "dead", dabchick.Options[T]{})
	q := native(w, "q", dabchick.Options[T]{DeadLetter: dead, MaxReceives: 2, VisibilityTimeout: dabchick.Immediately})
	err := sqshttp.Register(w.s, q)
	var invalid *dabchick.InvalidError
	require.ErrorAs(w, err, &invalid)
	require.Equal(w, "DeadLetter", invalid.Field)
	require.NoError(w, sqshttp.Register(w.s, dead))
	require.NoError(w, sqshttp.Register(w.s, q))
	require.JSONEq(w, redrivePolicy("dead", 2), w.attribute("q", "RedrivePolicy").(string))
	require.Len(w, w.ok("ListDeadLetterSourceQueues", m{"QueueUrl": "dead"})["queueUrls"], 1)
	w.set("q", "DelaySeconds", "0")
	require.Equal(w, 2, q.Options().MaxReceives)

	w.put("q", "poison")
	for range 3 {
		w.receive("q")
	}
	require.Equal(w, []string{"poison"}, bodies(w.receive("dead", m{"VisibilityTimeout": 0})))
	w.ok("StartMessageMoveTask", m{"SourceArn": arn("dead"), "DestinationArn": arn("q")})
	synctest.Wait()
	require.Equal(w, []string{"poison"}, bodies(w.receive("q")))
}

// Texts and bytes are different types, so nothing can move between their queues.
// Names of queues that the service does not know mean nothing to it.
func TestDeadLettersGoBackToAQueueOfTheProgramsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t, newService(t, sqshttp.Options{}), false}
		require.NoError(t, sqshttp.Register(w.s, native(t, "bytes", dabchick.Options[[]byte]{})))
		for _, x := range []struct{ name, dead string }{
			{"dead", "dead"}, {"bytes", "dead"}, {"elsewhere", "dead"}, {"source", "dead.fifo"}, // source is a standard queue
		} {
			w.queue(x.dead)
			w.queue(strings.Replace(x.dead, "dead", "source", 1), "RedrivePolicy", redrivePolicy(x.dead, 1))
			dead, ok := w.s.Queue(x.dead)
			require.True(t, ok)
			q := native(t, x.name, dabchick.Options[string]{FIFO: dead.Options().FIFO, DeadLetter: dead, MaxReceives: 1})
			_, err := q.SendWith(t.Context(), x.name, dabchick.SendOptions{Group: "g"})
			require.NoError(t, err)
			held, ok := q.TryReceive()
			require.True(t, ok)
			require.NoError(t, held.DeadLetter(t.Context(), "bug"))
			w.ok("StartMessageMoveTask", m{"SourceArn": arn(x.dead)})
			synctest.Wait()
			back, ok := q.TryReceive()
			require.True(t, ok, x)
			require.Equal(t, x.name, back.Body)
		}
	})
}

func TestQueuesOfTextsAndBytesDoNotMix(t *testing.T) {
	w := &wire{t, newService(t, sqshttp.Options{}), false}
	require.NoError(t, sqshttp.Register(w.s, native(t, "bytes", dabchick.Options[[]byte]{})))
	w.queue("texts")
	w.refuses("InvalidParameterValue", "texts", "RedrivePolicy", redrivePolicy("bytes", 1))
	w.refuses("InvalidParameterValue", "bytes", "RedrivePolicy", redrivePolicy("texts", 1))
	w.queue("source", "RedrivePolicy", redrivePolicy("texts", 1))
	w.refused("InvalidParameterValue", "StartMessageMoveTask", m{"SourceArn": arn("texts"), "DestinationArn": arn("bytes")})

	w.ok("CreateQueue", m{"QueueName": "bytes"})
	_, err := w.s.CreateQueue("bytes", nil)
	require.ErrorContains(t, err, "queue of bytes")
	_, ok := w.s.Queue("bytes")
	require.False(t, ok)
}

func TestBodiesThatSQSWouldRefuseAreReadable(t *testing.T) {
	for _, query := range []bool{false, true} {
		w := &wire{t, newService(t, sqshttp.Options{}), query}
		q := native(t, "q", dabchick.Options[[]byte]{})
		require.NoError(t, sqshttp.Register(w.s, q))
		_, err := q.Send(t.Context(), []byte("a\xff\x00\n\uffffü"))
		require.NoError(t, err)
		got := w.receive("q")[0]
		require.Equal(t, "a\ufffd\ufffd\n\ufffdü", got["Body"])
		require.Equal(t, "b0d7458268ee5900b4128b525b162b13", got["MD5OfBody"], "of what arrives")
	}
}

func TestAttributesThatSQSWouldRefuseAreReadable(t *testing.T) {
	for _, query := range []bool{false, true} {
		w := &wire{t, newService(t, sqshttp.Options{}), query}
		q, err := w.s.CreateQueue("q", nil)
		require.NoError(t, err)
		_, err = q.SendWith(t.Context(), "body", dabchick.SendOptions{
			Attributes: map[string]dabchick.Attribute{"a": {Type: "String", Text: "x\xff\x00y"}},
		})
		require.NoError(t, err)
		got := w.receive("q", m{"MessageAttributeNames": []any{"All"}})[0]
		shown := m{"a": m{"DataType": "String", "StringValue": "x\ufffd\ufffdy"}}
		require.Equal(t, shown, got["MessageAttributes"])
		same := w.put("q", "body", m{"MessageAttributes": shown})
		require.Equal(t, same["MD5OfMessageAttributes"], got["MD5OfMessageAttributes"], "of what arrives")
	}
}

func TestNamesThatSQSWouldRefuseAreReadable(t *testing.T) {
	for _, query := range []bool{false, true} {
		w := &wire{t, newService(t, sqshttp.Options{}), query}
		q, err := w.s.CreateQueue("q", nil)
		require.NoError(t, err)
		_, err = q.SendWith(t.Context(), "body", dabchick.SendOptions{
			Group: "g\x00", TraceHeader: "t\x01\xff",
			Attributes: map[string]dabchick.Attribute{"a\x02": {Type: "String.\x03", Text: "x"}},
		})
		require.NoError(t, err)
		got := w.receive("q", m{"MessageAttributeNames": []any{"a\ufffd"}, "AttributeNames": []any{"MessageGroupId", "AWSTraceHeader"}})[0]
		require.Equal(t, texts("MessageGroupId", "g\ufffd", "AWSTraceHeader", "t\ufffd\ufffd"), got["Attributes"])
		shown := m{"a\ufffd": m{"DataType": "String.\ufffd", "StringValue": "x"}}
		require.Equal(t, shown, got["MessageAttributes"])
		require.Equal(t, "de336cbdd1f15074f06f3ca99baf997b", got["MD5OfMessageAttributes"], "of what arrives")
	}
}

func TestRegisterRefuses(t *testing.T) {
	s := newService(t, sqshttp.Options{})
	for field, o := range map[string]dabchick.Options[string]{
		"VisibilityTimeout": {VisibilityTimeout: 1500 * time.Millisecond},
		"Delay":             {Delay: 901 * time.Second},
		"Retention":         {Retention: dabchick.Forever},
		"ReceiveWait":       {ReceiveWait: time.Minute},
	} {
		var invalid *dabchick.InvalidError
		require.ErrorAs(t, sqshttp.Register(s, native(t, "q", o)), &invalid)
		require.Equal(t, field, invalid.Field)
	}
	for name, o := range map[string]dabchick.Options[string]{
		"least": {VisibilityTimeout: dabchick.Immediately, Retention: time.Minute},
		"most": {
			VisibilityTimeout: 12 * time.Hour, Delay: 15 * time.Minute, Retention: 14 * 24 * time.Hour, ReceiveWait: 20 * time.Second,
		},
	} {
		require.NoError(t, sqshttp.Register(s, native(t, name, o)))
	}
	for name, fifo := range map[string]bool{"a b": false, "q.fifo": false, "q": true} {
		var e *sqshttp.Error
		require.ErrorAs(t, sqshttp.Register(s, native(t, name, dabchick.Options[string]{FIFO: fifo})), &e)
		require.Equal(t, "InvalidParameterValue", e.Code)
	}
	_, ok := s.Queue("q")
	require.False(t, ok)
	require.NoError(t, sqshttp.Register(s, native(t, "q", dabchick.Options[string]{})))
	var e *sqshttp.Error
	require.ErrorAs(t, sqshttp.Register(s, native(t, "q", dabchick.Options[string]{})), &e)
	require.Equal(t, "QueueAlreadyExists", e.Code)
	q, ok := s.Queue("q")
	require.True(t, ok)
	_, err := q.Send(t.Context(), "x")
	require.NoError(t, err)
}

// What bounds of its own make a queue refuse is told in SQS's words.
func TestBoundsOfARegisteredQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t, newService(t, sqshttp.Options{}), false}
		q := native(t, "q", dabchick.Options[string]{MaxBytes: 10, MaxMessages: 2, MaxInFlight: 1, FailFast: true})
		require.NoError(t, sqshttp.Register(w.s, q))
		w.refused("InvalidParameterValue", "SendMessage", m{"QueueUrl": "q", "MessageBody": "more than ten bytes"})
		out := w.ok("SendMessageBatch", batch("q", entry("a", "1"), entry("b", "2"), entry("c", "3")))
		ok, failed := outcome(out)
		require.Equal(t, []string{"a", "b"}, ok)
		require.Equal(t, m{"c": "RequestThrottled"}, failed)
		require.Len(t, w.ok("ReceiveMessage", m{"QueueUrl": "q"})["Messages"], 1)
		w.refused("OverLimit", "ReceiveMessage", m{"QueueUrl": "q"})
		require.NoError(t, q.Close())
		w.refused("AWS.SimpleQueueService.NonExistentQueue", "PurgeQueue", m{"QueueUrl": "q"})
	})
}

// Hooks run in the calls that cause events, so no call into a queue may hold a lock that
// a client needs.
func TestHookOfARegisteredQueueMayUseClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t, newService(t, sqshttp.Options{}), false}
		w.queue("log")
		var told []string
		hook := func(e dabchick.Event[string]) {
			x, _ := w.send("SendMessage", m{"QueueUrl": "log", "MessageBody": "x"})
			told = append(told, fmt.Sprint(e.Queue, " ", e.Kind, " ", x.status))
		}
		dead := native(t, "dead", dabchick.Options[string]{OnEvent: hook})
		require.NoError(t, sqshttp.Register(w.s, dead))
		w.queue("q", "RedrivePolicy", redrivePolicy("dead", 1))
		late := func() {
			w.put("dead", "x", m{"DelaySeconds": 1})
			time.Sleep(2 * time.Second) // the next call notices that it has appeared
		}
		late()
		w.set("dead", "DelaySeconds", "0")
		late()
		w.ok("StartMessageMoveTask", m{"SourceArn": arn("dead"), "DestinationArn": arn("q")})
		synctest.Wait()
		w.ok("DeleteQueue", m{"QueueUrl": "dead"})
		require.NoError(t, sqshttp.Register(w.s, native(t, "other", dabchick.Options[string]{OnEvent: hook})))
		w.s.Close()
		require.Equal(t, []string{
			"dead sent 200", "dead appeared 200", "dead sent 200", "dead appeared 200", "dead redriven 200", "dead redriven 200", "dead closed 200",
			"other closed 400",
		}, told)
	})
}
