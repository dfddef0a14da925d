package sqshttp

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func createQueue(c *call, in *createQueueInput) (any, error) {
	if c.query && c.queuePath() != "" {
		return nil, notOnAQueue("CreateQueue")
	}
	if in.QueueName == nil {
		return nil, missing("QueueName")
	}
	q, err := c.s.create(*in.QueueName, in.Attributes, in.Tags)
	if err != nil {
		return nil, err
	}
	return queueURLOutput{c.url(q.name)}, nil
}

func notOnAQueue(action string) error {
	return invalidAction.because("The action %s is not valid for this endpoint.", action)
}

func deleteQueue(c *call, in *queueInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err == nil {
		c.s.remove(q)
	}
	return nil, err
}

func getQueueURL(c *call, in *getQueueURLInput) (any, error) {
	if in.QueueName == nil {
		return nil, missing("QueueName")
	}
	name := *in.QueueName
	if name == "" {
		return nil, badValue("QueueName", "", "Queue name cannot be empty")
	}
	if owner := in.QueueOwnerAWSAccountId; owner != "" && owner != c.s.o.Account || !c.s.has(name) {
		return nil, c.noQueue()
	}
	return queueURLOutput{c.url(name)}, nil
}

func listQueues(c *call, in *listQueuesInput) (any, error) {
	if c.query && c.queuePath() != "" {
		return nil, notOnAQueue("ListQueues")
	}
	names := c.s.names(func(q *queue) bool { return strings.HasPrefix(q.name, in.QueueNamePrefix) })
	names, next, err := page(names, in.MaxResults, in.NextToken)
	return listQueuesOutput{c.urls(names), next}, err
}

func listDeadLetterSourceQueues(c *call, in *listSourcesInput) (any, error) {
	dead, _, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	names := c.s.names(func(q *queue) bool { return q.set.target == dead.name })
	names, next, err := page(names, in.MaxResults, in.NextToken)
	return listSourcesOutput{append([]string{}, c.urls(names)...), next}, err
}

// page cuts a part out of sorted names. A token is the name that the part before
// ended with.
func page(names []string, most *int, token string) (part []string, next string, err error) {
	n := 1000
	if most != nil {
		if n = *most; n < 1 || n > 1000 {
			return nil, "", badValue("MaxResults", n, "Must be from 1 to 1000")
		}
	}
	if token != "" {
		last, err := base64.StdEncoding.DecodeString(token)
		if err != nil || len(last) == 0 || len(last) > 80 {
			return nil, "", badValue("NextToken", quoted(token), "it is not one that was given out")
		}
		i, found := slices.BinarySearch(names, string(last))
		if found {
			i++
		}
		names = names[i:]
	}
	if len(names) <= n {
		return names, "", nil
	}
	if most != nil {
		next = base64.StdEncoding.EncodeToString([]byte(names[n-1]))
	}
	return names[:n], next, nil
}

func getQueueAttributes(c *call, in *getAttributesInput) (any, error) {
	q, set, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := slices.Contains(in.AttributeNames, "All")
	for _, name := range in.AttributeNames {
		if name != "All" && !known(name) {
			return nil, invalidAttributeName.because("Unknown Attribute %s.", quoted(name))
		}
	}
	if len(in.AttributeNames) == 0 {
		return getAttributesOutput{}, nil
	}
	stats, err := q.q.Stats(c.ctx)
	if err != nil {
		return nil, err
	}
	have := set.texts()
	have["QueueArn"] = c.s.arn(q.name)
	have["ApproximateNumberOfMessages"] = strconv.Itoa(stats.Visible)
	have["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(stats.InFlight)
	have["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(stats.Delayed)
	c.s.mu.RLock()
	have["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	have["LastModifiedTimestamp"] = strconv.FormatInt(q.modified.Unix(), 10)
	c.s.mu.RUnlock()
	maps.DeleteFunc(have, func(name, _ string) bool { return !all && !slices.Contains(in.AttributeNames, name) })
	return getAttributesOutput{have}, nil
}

func setQueueAttributes(c *call, in *setAttributesInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err == nil && len(in.Attributes) == 0 {
		err = missing("Attributes")
	}
	if err == nil {
		err = c.said(c.s.change(q, in.Attributes))
	}
	return nil, err
}

func purgeQueue(c *call, in *queueInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	now := time.Now()
	if !c.s.o.NoPauses && !q.purged.IsZero() && now.Sub(q.purged) < pause {
		c.s.mu.Unlock()
		return nil, purgeQueueInProgress.because("Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
	}
	before := q.purged
	q.purged = now
	c.s.mu.Unlock()
	if _, err = q.q.Purge(c.ctx); err != nil { // nothing was purged, and the next may try at once
		c.s.mu.Lock()
		q.purged = before
		c.s.mu.Unlock()
	}
	return nil, c.said(err)
}

func tagQueue(c *call, in *tagInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err == nil && len(in.Tags) == 0 {
		err = missing("Tags")
	}
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	tags := maps.Clone(q.tags)
	maps.Copy(tags, in.Tags)
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	q.tags = tags
	return nil, nil
}

func untagQueue(c *call, in *untagInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err == nil && len(in.TagKeys) == 0 {
		err = missing("TagKeys")
	}
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, k := range in.TagKeys {
		delete(q.tags, k)
	}
	return nil, nil
}

func listQueueTags(c *call, in *queueInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	return listTagsOutput{maps.Clone(q.tags)}, nil
}

func addPermission(c *call, in *addPermissionInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	switch {
	case err != nil:
		return nil, err
	case in.Label == "":
		return nil, missing("Label")
	case len(in.AWSAccountIds) == 0:
		return nil, missing("AWSAccountIds")
	case len(in.Actions) == 0:
		return nil, missing("Actions")
	}
	return nil, c.s.changePolicy(q, func(text string) (string, error) {
		return grant(text, c.s.arn(q.name), in.Label, in.AWSAccountIds, in.Actions)
	})
}

func removePermission(c *call, in *removePermissionInput) (any, error) {
	q, _, err := c.queue(in.QueueUrl)
	if err == nil && in.Label == "" {
		err = missing("Label")
	}
	if err != nil {
		return nil, err
	}
	return nil, c.s.changePolicy(q, func(text string) (string, error) { return revoke(text, in.Label) })
}

func (s *Service) changePolicy(q *queue, change func(string) (string, error)) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := change(q.set.policy)
	if err != nil {
		return err
	}
	set := *q.set
	set.policy = text
	q.set, q.modified = &set, time.Now()
	return nil
}
