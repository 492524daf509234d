"""The Event Hub as a Python program uses it: sends one event, a stream of them, and follows what comes.

Arguments: the folder of the generated stubs, and the server as HOST:PORT. Prints one JSON object.
"""

import json
import sys
import uuid

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
import event_hub_pb2 as proto  # noqa: E402
import event_hub_pb2_grpc as stubs  # noqa: E402

TIMESTAMP = "2024-01-15T10:30:00Z"

hub = stubs.EventHubStub(grpc.insecure_channel(sys.argv[2]))
user = f"python-{uuid.uuid4()}"


def request(amount, **more):
    return proto.SendEventRequest(
        **{"user_id": user, "event_type": "purchase", "amount": amount, "timestamp": TIMESTAMP, **more}
    )


def follow(count, **more):
    stream = hub.StreamEvents(proto.StreamEventsRequest(user_id=user, **more))
    # The headers say that it runs.
    stream.initial_metadata()
    return stream, lambda: [next(stream) for _ in range(count)]


live, take = follow(1001)
first = hub.SendEvent(request(150.75, idempotency_key=user))
again = hub.SendEvent(request(150.75, idempotency_key=user))
amounts = list(range(1, 1001))
summary = hub.SendEvents(iter([*map(request, amounts), request(0.001)]))
events = take()
live.cancel()
_, take_rest = follow(500, cursor=events[500].cursor)
rest = take_rest()

try:
    hub.SendEvent(proto.SendEventRequest())
    refused = None
except grpc.RpcError as error:
    trailers = dict(error.trailing_metadata())
    names = ["user_id", "event_type", "amount", "timestamp"]
    details = trailers["grpc-status-details-bin"].decode("utf-8", "replace")
    refused = {
        "code": error.code().name,
        "reason": trailers["mts-code"],
        "fields": [name for name in names if f"{name} must be" in details or f"{name} is missing" in details],
    }

json.dump(
    {
        "sent": {
            "event_type": first.event.event_type,
            "amount": first.event.amount,
            "timestamp": first.event.timestamp,
            "duplicate": first.duplicate,
        },
        "repeated": {"same_id": again.id == first.id, "duplicate": again.duplicate},
        "summary": {
            "stored": summary.stored,
            "duplicates": summary.duplicates,
            "failed": summary.failed,
            "failures": [[failure.index, failure.code] for failure in summary.failures],
        },
        "followed": {
            "amounts": len(events),
            "in_order": [event.amount for event in events] == [150.75, *amounts],
            "resumed": len(rest) if [event.id for event in rest] == [event.id for event in events[501:]] else 0,
        },
        "refused": refused,
    },
    sys.stdout,
)
