package sqshttp

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// An Error is what SQS answers when it refuses a call.
type Error struct {
	Shape   string // as QueueDoesNotExist: the __type of the JSON protocol
	Code    string // as AWS.SimpleQueueService.NonExistentQueue: that of the Query protocol
	Status  int    // of HTTP
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("sqs: %s: %s", e.Code, e.Message) }

// fault says whose fault it is.
func (e *Error) fault() string {
	if e.Status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

// A kind is an error without its message.
type kind struct {
	shape, code string
	status      int
}

// because returns an error with a message. Texts in it may be a client's: they are told
// back short, and without characters that would do something to a screen.
func (k kind) because(format string, args ...any) *Error {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = harmless(text)
		}
	}
	return &Error{Shape: k.shape, Code: k.code, Status: k.status, Message: fmt.Sprintf(format, args...)}
}

const prefix = "AWS.SimpleQueueService."

var (
	queueDoesNotExist      = kind{"QueueDoesNotExist", prefix + "NonExistentQueue", 400}
	queueNameExists        = kind{"QueueNameExists", "QueueAlreadyExists", 400}
	queueDeletedRecently   = kind{"QueueDeletedRecently", prefix + "QueueDeletedRecently", 400}
	purgeQueueInProgress   = kind{"PurgeQueueInProgress", prefix + "PurgeQueueInProgress", 403}
	invalidAttributeName   = kind{"InvalidAttributeName", "InvalidAttributeName", 400}
	invalidAttributeValue  = kind{"InvalidAttributeValue", "InvalidAttributeValue", 400}
	invalidMessageContents = kind{"InvalidMessageContents", "InvalidMessageContents", 400}
	receiptHandleIsInvalid = kind{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404}
	overLimit              = kind{"OverLimit", "OverLimit", 403}
	requestThrottled       = kind{"RequestThrottled", "RequestThrottled", 403}
	emptyBatchRequest      = kind{"EmptyBatchRequest", prefix + "EmptyBatchRequest", 400}
	tooManyEntries         = kind{"TooManyEntriesInBatchRequest", prefix + "TooManyEntriesInBatchRequest", 400}
	idsNotDistinct         = kind{"BatchEntryIdsNotDistinct", prefix + "BatchEntryIdsNotDistinct", 400}
	invalidBatchEntryID    = kind{"InvalidBatchEntryId", prefix + "InvalidBatchEntryId", 400}
	batchRequestTooLong    = kind{"BatchRequestTooLong", prefix + "BatchRequestTooLong", 400}
	resourceNotFound       = kind{"ResourceNotFoundException", "ResourceNotFoundException", 404}
	invalidAddress         = kind{"InvalidAddress", "InvalidAddress", 404}
	invalidAction          = kind{"InvalidAction", "InvalidAction", 400}
	unknownOperation       = kind{"UnknownOperationException", "UnknownOperationException", 400}
	serialization          = kind{"SerializationException", "SerializationException", 400}
	invalidSecurity        = kind{"InvalidSecurity", "InvalidSecurity", 403}
	requestTooLarge        = kind{"RequestTooLarge", "RequestTooLarge", 413}
	internalFailure        = kind{"InternalFailure", "InternalFailure", 500}

	// Not modelled, and by far the most frequent.
	invalidParameterValue = kind{"InvalidParameterValueException", "InvalidParameterValue", 400}
	missingParameter      = kind{"MissingRequiredParameterException", "MissingParameter", 400}
)

// badValue says why the value of a parameter is wrong, in the words that clients
// look for.
func badValue(parameter string, value any, why string) *Error {
	return invalidParameterValue.because("Value %v for parameter %s is invalid. Reason: %s", value, parameter, why)
}

func missing(parameter string) *Error {
	return missingParameter.because("The request must contain the parameter %s.", parameter)
}

// mostTold is how much of a text from a client is told back.
const mostTold = 1024

func harmless(text string) string {
	if len(text) > mostTold {
		text = text[:mostTold] + "..."
	}
	text = strings.ToValidUTF8(text, "?")
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsGraphic(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// asError turns an error into what a client is told. Context errors stay: then
// nobody is there to be told anything.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return internalFailure.because("We encountered an internal error. Please try again.")
}
