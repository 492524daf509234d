"""A sender and receiver of CloudEvents by the official SDK: `client.py URL`.

Sends one event in binary mode, one in structured mode and two in a batch, reads each back in the modes in which the
server answers, and prints what it got, as JSON.
"""

import json
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_binary_event,
    from_structured_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

TIME = datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=timezone.utc)


def call(url, message=None, accept=None):
    """Sends what the SDK made, and answers status and message."""
    headers = dict(message.headers) if message else {}
    # urllib would say that it is a form.
    if message and "content-type" not in {name.lower() for name in headers}:
        headers["content-type"] = "application/json"
    if accept:
        headers["accept"] = accept
    request = urllib.request.Request(url, data=message.body if message else None, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        answered = {name.lower(): value for name, value in response.headers.items()}
        return response.status, HTTPMessage(headers=answered, body=response.read())


def event(number, **more):
    attributes = {
        "id": f"py {number} ü %41",
        "source": "/shop/python",
        "type": "com.example.order.refund",
        "time": TIME,
        "subject": "order 7",
        "trace": "a\"b",
        "datacontenttype": "application/json",
    }
    data = {"user_id": f"python-{number}", "event_type": "refund", "amount": 10 + number / 100}
    return CloudEvent(attributes | more, data)


def shown(received):
    attributes = received.get_attributes()
    return {
        "attributes": {name: str(value) for name, value in attributes.items()},
        "data": received.get_data(),
    }


def main(url):
    events = f"{url}/events"
    sent = []
    for number, encode in enumerate([to_binary_event, to_structured_event]):
        status, answer = call(events, encode(event(number)))
        again, repeated = call(events, encode(event(number)))
        sent.append([status, json.loads(answer.body), again, json.loads(repeated.body)])
    parts = [to_structured_event(event(number)).body for number in (2, 3)]
    batch = HTTPMessage(
        headers={"content-type": "application/cloudevents-batch+json"},
        body=b"[" + b",".join(parts) + b"]",
    )
    status, answer = call(events, batch)
    results = json.loads(answer.body)["results"]
    ids = [sent[0][1]["id"], sent[1][1]["id"], *(result["id"] for result in results)]
    read = []
    for identifier in ids:
        _, structured = call(f"{events}/{identifier}", accept="application/cloudevents+json")
        _, binary = call(f"{events}/{identifier}", accept="application/json")
        read.append([shown(from_structured_event(structured)), shown(from_binary_event(binary))])
    _, page = call(f"{events}?event_type=refund&limit=4", accept="application/cloudevents-batch+json")
    listed = [
        shown(from_structured_event(HTTPMessage(headers={}, body=json.dumps(entry).encode())))
        for entry in json.loads(page.body)
    ]
    print(json.dumps({"sent": sent, "batch": [status, results], "read": read, "listed": listed}))


main(sys.argv[1])
