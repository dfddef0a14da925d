"""Prints requests that botocore has signed, each as a line of JSON: python3 signatures.py COUNT SEED"""

import json
import random
import sys
from urllib.parse import quote

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

key = Credentials("AKIDEXAMPLE", "secret")
r = random.Random(int(sys.argv[2]))


def text(letters="azAZ09-_.~ /+%&=?:;,@!$'()*üß€"):
    return "".join(r.choices(letters, k=r.randrange(12)))


def escaped(s):
    return quote(s, safe="-_.~")


for _ in range(int(sys.argv[1])):
    path = "/" + "/".join(r.choice(["", ".", "..", escaped(text())]) for _ in range(r.randrange(4)))
    pairs = [("Action", "ListQueues")] + [("x%d" % r.randrange(20), text()) for _ in range(r.randrange(4))]
    form = "&".join(escaped(k) + "=" + escaped(v) for k, v in pairs)
    headers, body = {}, ""
    for i in range(r.randrange(3)):
        headers["X-Amz-Meta-%d" % i] = "  a   b " + text("azAZ09 /+%=;,~")
    url = "http://localhost:9324" + path
    if r.random() < 0.3:
        method, body = "POST", form
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    elif r.random() < 0.5:
        method, body = "POST", json.dumps({"x": text()})
        headers["X-Amz-Target"] = "AmazonSQS.ListQueues"
    else:
        method, url = "GET", url + "?" + form
    request = AWSRequest(method, url, headers, data=body)
    if method == "GET" and r.random() < 0.5:
        SigV4QueryAuth(key, "sqs", "us-east-1", expires=r.randrange(1, 604801)).add_auth(request)
    else:
        SigV4Auth(key, "sqs", "us-east-1").add_auth(request)
    print(json.dumps({"method": method, "url": request.url, "header": dict(request.headers.items()), "body": body}))
