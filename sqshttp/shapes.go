package sqshttp

import (
	"encoding/json"
	"reflect"
)

// The inputs and outputs of the actions, as the SQS model names their members. In
// the Query protocol a list or map goes by the name in the tag "query", or if it is
// answered as JSON by the one in "old".

type attributeValue struct {
	DataType         string
	StringValue      *string  `json:",omitempty"`
	BinaryValue      blob     `json:",omitempty"`
	StringListValues []string `json:",omitempty" query:"StringListValue"`
	BinaryListValues []blob   `json:",omitempty" query:"BinaryListValue"`
}

// A blob is base64 on the wire. For a []byte encoding/json takes a list of numbers, too.
type blob []byte

func (b *blob) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return &json.UnmarshalTypeError{Value: "array", Type: reflect.TypeFor[blob]()}
	}
	return json.Unmarshal(text, (*[]byte)(b))
}

type attributeValues map[string]attributeValue

type queueInput struct{ QueueUrl string }

type createQueueInput struct {
	QueueName  *string
	Attributes map[string]string `query:"Attribute"`
	Tags       map[string]string `json:"tags" query:"Tag"`
}

type queueURLOutput struct{ QueueUrl string }

type getQueueURLInput struct {
	QueueName              *string
	QueueOwnerAWSAccountId string
}

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string
}

type listQueuesOutput struct {
	QueueUrls []string `json:",omitempty" query:"QueueUrl" old:"queueUrls"`
	NextToken string   `json:",omitempty"`
}

type listSourcesInput struct {
	QueueUrl   string
	MaxResults *int
	NextToken  string
}

type listSourcesOutput struct {
	QueueUrls []string `json:"queueUrls" query:"QueueUrl" old:"queueUrls"`
	NextToken string   `json:",omitempty"`
}

type getAttributesInput struct {
	QueueUrl       string
	AttributeNames []string `query:"AttributeName"`
}

type getAttributesOutput struct {
	Attributes map[string]string `json:",omitempty" query:"Attribute"`
}

type setAttributesInput struct {
	QueueUrl   string
	Attributes map[string]string `query:"Attribute"`
}

type tagInput struct {
	QueueUrl string
	Tags     map[string]string `query:"Tag"`
}

type untagInput struct {
	QueueUrl string
	TagKeys  []string `query:"TagKey"`
}

type listTagsOutput struct {
	Tags map[string]string `json:",omitempty" query:"Tag"`
}

type addPermissionInput struct {
	QueueUrl, Label string
	AWSAccountIds   []string `query:"AWSAccountId"`
	Actions         []string `query:"ActionName"`
}

type removePermissionInput struct{ QueueUrl, Label string }

// sending is what SendMessage and an entry of its batch have in common.
type sending struct {
	MessageBody             *string
	DelaySeconds            *int
	MessageAttributes       attributeValues `query:"MessageAttribute"`
	MessageSystemAttributes attributeValues `query:"MessageSystemAttribute"`
	MessageGroupId          *string
	MessageDeduplicationId  *string
}

type sendInput struct {
	QueueUrl string
	sending
}

type sendOutput struct {
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
	SequenceNumber               string `json:",omitempty"`
}

type sendEntry struct {
	Id string
	sending
}

type sendBatchInput struct {
	QueueUrl string
	Entries  []sendEntry `query:"SendMessageBatchRequestEntry"`
}

type sentEntry struct {
	Id string
	sendOutput
}

type failedEntry struct {
	Id          string
	SenderFault bool
	Code        string
	Message     string `json:",omitempty"`
}

type sendBatchOutput struct {
	Successful []sentEntry   `json:",omitempty" query:"SendMessageBatchResultEntry"`
	Failed     []failedEntry `json:",omitempty" query:"BatchResultErrorEntry"`
}

type receiveInput struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	WaitTimeSeconds             *int
	VisibilityTimeout           *int
	AttributeNames              []string `query:"AttributeName"`
	MessageSystemAttributeNames []string `query:"MessageSystemAttributeName"`
	MessageAttributeNames       []string `query:"MessageAttributeName"`
	ReceiveRequestAttemptId     *string
}

type receivedMessage struct {
	MessageId              string
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string `json:",omitempty" query:"Attribute"`
	MD5OfMessageAttributes string            `json:",omitempty"`
	MessageAttributes      attributeValues   `json:",omitempty" query:"MessageAttribute"`
}

type receiveOutput struct {
	Messages []receivedMessage `json:",omitempty" query:"Message" old:"messages"`
}

type deleteInput struct{ QueueUrl, ReceiptHandle string }

type changeInput struct {
	QueueUrl, ReceiptHandle string
	VisibilityTimeout       *int
}

type deleteEntry struct{ Id, ReceiptHandle string }

type deleteBatchInput struct {
	QueueUrl string
	Entries  []deleteEntry `query:"DeleteMessageBatchRequestEntry"`
}

type doneEntry struct{ Id string }

type deleteBatchOutput struct {
	Successful []doneEntry   `json:",omitempty" query:"DeleteMessageBatchResultEntry"`
	Failed     []failedEntry `json:",omitempty" query:"BatchResultErrorEntry"`
}

type changeEntry struct {
	Id, ReceiptHandle string
	VisibilityTimeout *int
}

type changeBatchInput struct {
	QueueUrl string
	Entries  []changeEntry `query:"ChangeMessageVisibilityBatchRequestEntry"`
}

type changeBatchOutput struct {
	Successful []doneEntry   `json:",omitempty" query:"ChangeMessageVisibilityBatchResultEntry"`
	Failed     []failedEntry `json:",omitempty" query:"BatchResultErrorEntry"`
}

type startMoveInput struct {
	SourceArn, DestinationArn    string
	MaxNumberOfMessagesPerSecond *int
}

type startMoveOutput struct{ TaskHandle string }

type listMovesInput struct {
	SourceArn  string
	MaxResults *int
}

type moveResult struct {
	TaskHandle                        string `json:",omitempty"`
	Status                            string
	SourceArn                         string
	DestinationArn                    string `json:",omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64
}

type listMovesOutput struct {
	Results []moveResult `json:",omitempty" query:"ListMessageMoveTasksResultEntry"`
}

type cancelMoveInput struct{ TaskHandle string }

type cancelMoveOutput struct{ ApproximateNumberOfMessagesMoved int }
