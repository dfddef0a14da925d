package entry

import "context"

// Channel is a channel with a place for each message, as a queue without bounds has.
var Channel = Entry[struct{}]{
	Info: Info{Name: "channel", Kind: Limit,
		What: "a buffered channel with a place for each message; a message that is taken is gone"},
	Open: func(s Setup) (Queue[struct{}], error) { return make(channel, max(s.Capacity, 1)), nil },
}

// ShortChannel bounds how far senders run ahead, and so stays in the cache.
var ShortChannel = Entry[struct{}]{
	Info: Info{Name: "channel-1024", Kind: Limit, Bound: shortChannel,
		What: "a buffered channel with 1,024 places"},
	Open: func(Setup) (Queue[struct{}], error) { return make(channel, shortChannel), nil },
}

const shortChannel = 1024

// A channel is used without a select, which costs more than the channel itself.
type channel chan []byte

func (c channel) Send(_ context.Context, body []byte) error {
	c <- body
	return nil
}

func (c channel) Receive(context.Context) ([]byte, struct{}, error) {
	body, ok := <-c
	if !ok {
		return nil, struct{}{}, errClosed
	}
	return body, struct{}{}, nil
}

func (c channel) Delete(context.Context, struct{}) error { return nil }

func (c channel) Close() error {
	close(c)
	return nil
}
