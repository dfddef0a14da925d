"""What a program with boto3 does with queues. Called with the endpoint; prints ok."""

import hashlib
import json
import struct
import sys
import threading
import time

import boto3
import botocore

endpoint = sys.argv[1]
sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1",
                   aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret")


def refused(code, call, **args):
    try:
        call(**args)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e.response
        return e
    raise AssertionError(f"{code} expected")


def digest(attributes):
    """The MD5 of message attributes, as SQS defines it. botocore checks none."""
    text = lambda b: struct.pack(">I", len(b)) + b
    h = hashlib.md5()
    for name, v in sorted(attributes.items()):
        h.update(text(name.encode()) + text(v["DataType"].encode()))
        h.update(b"\x02" + text(v["BinaryValue"]) if "BinaryValue" in v else b"\x01" + text(v["StringValue"].encode()))
    return h.hexdigest()


# Life cycle, attributes, tags.
url = sqs.create_queue(QueueName="py", Attributes={"VisibilityTimeout": "60"}, tags={"team": "blue"})["QueueUrl"]
assert sqs.get_queue_url(QueueName="py")["QueueUrl"] == url
assert sqs.list_queues(QueueNamePrefix="py")["QueueUrls"] == [url]
assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue"}
sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
assert attributes["VisibilityTimeout"] == "60" and len(attributes) == 12, attributes

# A message with attributes goes round.
body = "größer <&> \r\n"
given = {
    "colour": {"DataType": "String", "StringValue": "red"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    "n": {"DataType": "Number", "StringValue": "1"},
}
sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given)
assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
assert sent["MD5OfMessageAttributes"] == digest(given), sent
m = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"], WaitTimeSeconds=1)["Messages"][0]
assert m["Body"] == body and m["MessageId"] == sent["MessageId"], m
assert m["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff", m
assert m["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
assert m["Attributes"]["ApproximateReceiveCount"] == "1"
assert "Messages" not in sqs.receive_message(QueueUrl=url)
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"], VisibilityTimeout=0)
again = sqs.receive_message(QueueUrl=url)["Messages"][0]
assert again["MessageId"] == m["MessageId"]
sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])  # twice is no error

# A long poll is answered by a send, long before its time.
got = []
poll = threading.Thread(target=lambda: got.extend(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]))
began = time.monotonic()
poll.start()
sqs.send_message(QueueUrl=url, MessageBody="for the poll")
poll.join()
assert [m["Body"] for m in got] == ["for the poll"] and time.monotonic() - began < 20, got
sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])
began = time.monotonic()
assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
assert time.monotonic() - began >= 1

# A delay and a visibility timeout end, and wake whoever waits.
sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=1)
assert "Messages" not in sqs.receive_message(QueueUrl=url)
assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, VisibilityTimeout=1)["Messages"][0]["Body"] == "later"
m = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, AttributeNames=["ApproximateReceiveCount"])["Messages"][0]
assert m["Attributes"] == {"ApproximateReceiveCount": "2"}, m
sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])

# Batches.
out = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(10)])
assert len(out["Successful"]) == 10 and "Failed" not in out
ms = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
assert len(ms) == 10
handles = [{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in ms]
sqs.change_message_visibility_batch(QueueUrl=url, Entries=[{**h, "VisibilityTimeout": 30} for h in handles])
out = sqs.delete_message_batch(QueueUrl=url, Entries=handles[:9] + [{"Id": "x", "ReceiptHandle": "nonsense"}])
assert len(out["Successful"]) == 9 and out["Failed"][0]["Code"] == "ReceiptHandleIsInvalid", out
out = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x", "DelaySeconds": 901}])
assert [e["Id"] for e in out["Successful"]] == ["good"] and out["Failed"][0]["SenderFault"] is True, out

# Dead letters and move tasks.
dead = sqs.create_queue(QueueName="py-dead")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
jobs = sqs.create_queue(QueueName="py-jobs", Attributes={
    "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})["QueueUrl"]
sqs.send_message(QueueUrl=jobs, MessageBody="poison")
assert sqs.receive_message(QueueUrl=jobs, VisibilityTimeout=0)["Messages"]
assert "Messages" not in sqs.receive_message(QueueUrl=jobs)
assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [jobs]
assert sqs.receive_message(QueueUrl=dead, VisibilityTimeout=0)["Messages"][0]["Body"] == "poison"
if hasattr(sqs, "start_message_move_task"):  # not in older ones
    assert sqs.start_message_move_task(SourceArn=arn)["TaskHandle"]
    assert sqs.receive_message(QueueUrl=jobs, WaitTimeSeconds=20)["Messages"][0]["Body"] == "poison"
    tasks = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
    assert tasks[0]["SourceArn"] == arn and tasks[0]["ApproximateNumberOfMessagesToMove"] == 1, tasks
    refused("ResourceNotFoundException", sqs.list_message_move_tasks, SourceArn=arn + "x")

# FIFO.
fifo = sqs.create_queue(QueueName="py.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
one = sqs.send_message(QueueUrl=fifo, MessageBody="a1", MessageGroupId="a")
assert sqs.send_message(QueueUrl=fifo, MessageBody="a1", MessageGroupId="a")["MessageId"] == one["MessageId"]
sqs.send_message(QueueUrl=fifo, MessageBody="a2", MessageGroupId="a")
ms = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
assert [m["Body"] for m in ms] == ["a1", "a2"]
assert ms[0]["Attributes"]["SequenceNumber"] == one["SequenceNumber"]
assert "Messages" not in sqs.receive_message(QueueUrl=fifo)
sqs.delete_message_batch(QueueUrl=fifo, Entries=[{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in ms])

# Pages and permissions.
pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="py", PaginationConfig={"PageSize": 2})
assert len([u for page in pages for u in page["QueueUrls"]]) == 4
sqs.add_permission(QueueUrl=url, Label="partner", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
assert policy["Statement"][0]["Action"] == "SQS:SendMessage", policy
sqs.remove_permission(QueueUrl=url, Label="partner")
sqs.tag_queue(QueueUrl=url, Tags={"stage": "test"})
sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "test"}

# Errors by code, and as classes.
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="nobody")
refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)
refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
refused("AWS.SimpleQueueService.EmptyBatchRequest", sqs.send_message_batch, QueueUrl=url, Entries=[])
sqs.purge_queue(QueueUrl=url)
refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purge_queue, QueueUrl=url)
try:
    sqs.get_queue_url(QueueName="nobody")
except sqs.exceptions.QueueDoesNotExist:
    pass
sqs.delete_queue(QueueUrl=url)
refused("AWS.SimpleQueueService.QueueDeletedRecently", sqs.create_queue, QueueName="py")

print("ok", sqs.meta.service_model.metadata["protocol"], botocore.__version__)
