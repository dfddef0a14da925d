// What a program with the JavaScript SDK, sqs-consumer and sqs-producer does with
// queues. Called with the endpoint; prints ok.

import assert from 'node:assert/strict';
import {
  SQSClient, CreateQueueCommand, SendMessageCommand, SendMessageBatchCommand, ReceiveMessageCommand, DeleteMessageCommand,
  ChangeMessageVisibilityCommand, ChangeMessageVisibilityBatchCommand, DeleteMessageBatchCommand, DeleteQueueCommand,
  GetQueueAttributesCommand, GetQueueUrlCommand, ListMessageMoveTasksCommand, PurgeQueueCommand, QueueDoesNotExist,
  PurgeQueueInProgress, ReceiptHandleIsInvalid, StartMessageMoveTaskCommand, paginateListQueues,
} from '@aws-sdk/client-sqs';
import { Consumer } from 'sqs-consumer';
import { Producer } from 'sqs-producer';

const endpoint = process.argv[2];
const sqs = new SQSClient({ endpoint, region: 'us-east-1', maxAttempts: 1, credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' } });
const send = (Command, input) => sqs.send(new Command(input));

// A message goes round. The SDK checks the MD5s.
const { QueueUrl } = await send(CreateQueueCommand, { QueueName: 'js', Attributes: { VisibilityTimeout: '60' } });
await send(SendMessageCommand, {
  QueueUrl, MessageBody: 'grüße <&> \r\n',
  MessageAttributes: { raw: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 255]) }, k: { DataType: 'String', StringValue: 'x' } },
});
let { Messages } = await send(ReceiveMessageCommand, { QueueUrl, MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] });
assert.equal(Messages[0].Body, 'grüße <&> \r\n');
assert.deepEqual([...Messages[0].MessageAttributes.raw.BinaryValue], [0, 255]);
assert.equal((await send(ReceiveMessageCommand, { QueueUrl })).Messages, undefined);
await send(ChangeMessageVisibilityCommand, { QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle, VisibilityTimeout: 0 });
({ Messages } = await send(ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 1 }));
await send(DeleteMessageCommand, { QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle });
await assert.rejects(send(GetQueueUrlCommand, { QueueName: 'nobody' }), QueueDoesNotExist);
const batch = await send(SendMessageBatchCommand, { QueueUrl, Entries: [{ Id: 'a', MessageBody: '1' }, { Id: 'b', MessageBody: '\u0001' }] });
assert.equal(batch.Successful.length, 1);
assert.equal(batch.Failed[0].Code, 'InvalidMessageContents');

// A long poll is answered by a send, long before its time; an empty one takes its time.
await send(PurgeQueueCommand, { QueueUrl });
let began = Date.now();
const poll = send(ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 20 });
await send(SendMessageCommand, { QueueUrl, MessageBody: 'for the poll' });
({ Messages } = await poll);
assert.equal(Messages[0].Body, 'for the poll');
assert.ok(Date.now() - began < 20_000);
began = Date.now();
assert.equal((await send(ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 1 })).Messages, undefined);
assert.ok(Date.now() - began >= 990);

// Batches of handles: visible again, received again, deleted.
const entries = (more) => Messages.map((m, n) => ({ Id: `${n}`, ReceiptHandle: m.ReceiptHandle, ...more }));
await send(SendMessageBatchCommand, { QueueUrl, Entries: [...'123'].map((n) => ({ Id: n, MessageBody: n })) });
({ Messages } = await send(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 10 }));
assert.deepEqual(Messages.map((m) => m.Body), ['1', '2', '3']);
assert.equal((await send(ChangeMessageVisibilityBatchCommand, { QueueUrl, Entries: entries({ VisibilityTimeout: 0 }) })).Successful.length, 3);
({ Messages } = await send(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 10 }));
assert.equal((await send(DeleteMessageBatchCommand, { QueueUrl, Entries: entries() })).Successful.length, 3);

// Errors are the SDK's classes.
await assert.rejects(send(DeleteMessageCommand, { QueueUrl, ReceiptHandle: 'x' }), ReceiptHandleIsInvalid);
await assert.rejects(send(PurgeQueueCommand, { QueueUrl }), PurgeQueueInProgress);
await assert.rejects(send(ReceiveMessageCommand, { QueueUrl, MaxNumberOfMessages: 11 }), { Code: 'InvalidParameterValue' });

// Dead letters.
const dead = await send(CreateQueueCommand, { QueueName: 'js-dead' });
const { Attributes: { QueueArn } } = await send(GetQueueAttributesCommand, { QueueUrl: dead.QueueUrl, AttributeNames: ['QueueArn'] });
const jobs = await send(CreateQueueCommand, {
  QueueName: 'js-jobs', Attributes: { VisibilityTimeout: '0', RedrivePolicy: JSON.stringify({ deadLetterTargetArn: QueueArn, maxReceiveCount: 2 }) },
});
const count = async (url) => {
  const { Attributes: a } = await send(GetQueueAttributesCommand, { QueueUrl: url, AttributeNames: ['All'] });
  return Number(a.ApproximateNumberOfMessages) + Number(a.ApproximateNumberOfMessagesNotVisible);
};

// sqs-producer and sqs-consumer: 25 jobs, of which one fails for good.
const producer = Producer.create({ queueUrl: jobs.QueueUrl, sqs });
await producer.send(Array.from({ length: 25 }, (_, n) => ({ id: `job${n}`, body: `job ${n}` })));
const handled = new Set();
await new Promise((resolve, reject) => {
  const consumer = Consumer.create({
    queueUrl: jobs.QueueUrl, sqs, batchSize: 10, visibilityTimeout: 30, terminateVisibilityTimeout: true, waitTimeSeconds: 1,
    handleMessage: async (m) => {
      if (m.Body === 'job 13') throw new Error('fails for good');
      handled.add(m.Body);
      return m;
    },
  });
  consumer.on('error', reject);
  consumer.on('processing_error', () => {});
  consumer.on('empty', async () => {
    if (handled.size === 24 && await count(dead.QueueUrl) === 1) {
      consumer.stop();
      resolve();
    }
  });
  consumer.start();
});
await send(StartMessageMoveTaskCommand, { SourceArn: QueueArn });
({ Messages } = await send(ReceiveMessageCommand, { QueueUrl: jobs.QueueUrl, WaitTimeSeconds: 20 }));
assert.equal(Messages[0].Body, 'job 13');
const { Results } = await send(ListMessageMoveTasksCommand, { SourceArn: QueueArn });
assert.equal(Results[0].ApproximateNumberOfMessagesToMove, 1);

// FIFO.
const fifo = await send(CreateQueueCommand, { QueueName: 'js.fifo', Attributes: { FifoQueue: 'true', ContentBasedDeduplication: 'true' } });
for (const body of ['1', '1', '2']) await send(SendMessageCommand, { QueueUrl: fifo.QueueUrl, MessageBody: body, MessageGroupId: 'g' });
({ Messages } = await send(ReceiveMessageCommand, { QueueUrl: fifo.QueueUrl, MaxNumberOfMessages: 10 }));
assert.deepEqual(Messages.map((m) => m.Body), ['1', '2']);
assert.equal((await send(ReceiveMessageCommand, { QueueUrl: fifo.QueueUrl })).Messages, undefined);

// Pages, and the end.
const urls = [];
for await (const page of paginateListQueues({ client: sqs, pageSize: 2 }, { QueueNamePrefix: 'js' })) urls.push(...page.QueueUrls);
assert.equal(urls.length, 4);
for (const url of urls) await send(DeleteQueueCommand, { QueueUrl: url });

console.log('ok');
sqs.destroy();
