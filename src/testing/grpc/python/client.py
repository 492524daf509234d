"""A gRPC client as a program: commands as JSON lines on standard input, answers as JSON lines on standard output.

The commands and their fields are those of ../foreign-client.ts; go/main.go speaks the same. Commands run concurrently,
each answer carries the `id` of its command. The folder of the generated stubs is the only argument.
"""

import base64
import hashlib
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
import minitoolstream_pb2 as proto  # noqa: E402
import minitoolstream_pb2_grpc as stubs  # noqa: E402

PATTERN = bytes(range(251))
# The field that names a subscriber has another name in each generation.
DURABLE_FIELD = next(f.name for f in proto.SubscribeRequest.DESCRIPTOR.fields if f.number == 3)

channels = {}
streams = {}
held = {}
output = threading.Lock()


def write(answer):
    line = json.dumps(answer)
    with output:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Channel:
    def __init__(self, command):
        options = []
        if "receive_bytes_max" in command:
            options.append(("grpc.max_receive_message_length", command["receive_bytes_max"]))
            options.append(("grpc.max_send_message_length", -1))
        compression = grpc.Compression.Gzip if command.get("compress") else None
        if "roots" in command:
            with open(command["roots"], "rb") as file:
                credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
            self.channel = grpc.secure_channel(command["target"], credentials, options, compression)
        else:
            self.channel = grpc.insecure_channel(command["target"], options, compression)
        self.ingress = stubs.IngressServiceStub(self.channel)
        self.egress = stubs.EgressServiceStub(self.channel)


def channel_of(command):
    return channels[command["channel"]]


def body(command):
    """Bytes as given, or `size` bytes of a pattern that begins at `seed`."""
    if "data_base64" in command:
        return base64.b64decode(command["data_base64"])
    size, seed = command.get("size", 0), command.get("seed", 0) % 251
    return (PATTERN * (size // 251 + 2))[seed : seed + size]


def call_options(command):
    options = {"metadata": list(command.get("metadata", {}).items())}
    if "deadline_ms" in command:
        options["timeout"] = command["deadline_ms"] / 1000
    return options


def metadata_map(pairs):
    return {
        key: value if isinstance(value, str) else base64.b64encode(value).decode() for key, value in (pairs or ())
    }


def failure(call):
    return {
        "code": call.code().name,
        "message": call.details() or "",
        "trailers": metadata_map(call.trailing_metadata()),
    }


def publish_request(command):
    return proto.PublishRequest(subject=command["subject"], data=body(command), headers=command.get("headers", {}))


def publish(command):
    answer = channel_of(command).ingress.Publish(publish_request(command), **call_options(command))
    fields = {descriptor.name: value for descriptor, value in answer.ListFields()}
    return {"sequence": fields.pop("sequence", 0), "others": fields, "wire": answer.SerializeToString().hex()}


def publish_many(command):
    """`callers` at once, each publishes `each` messages one after the other and says in headers which they are."""
    ingress = channel_of(command).ingress

    def caller(number):
        sequences = []
        for index in range(command["each"]):
            request = publish_request(command)
            request.headers["caller"] = str(number)
            request.headers["index"] = str(index)
            sequences.append(ingress.Publish(request, **call_options(command)).sequence)
        return sequences

    with ThreadPoolExecutor(command["callers"]) as pool:
        return {"sequences": list(pool.map(caller, range(command["callers"])))}


def last(command):
    request = proto.GetLastSequenceRequest(subject=command["subject"])
    return {"last_sequence": channel_of(command).egress.GetLastSequence(request, **call_options(command)).last_sequence}


def message_map(message):
    answer = {
        "subject": message.subject,
        "sequence": message.sequence,
        "size": len(message.data),
        "sha256": hashlib.sha256(message.data).hexdigest(),
        "headers": dict(message.headers),
        "timestamp_ms": message.timestamp.ToMilliseconds(),
    }
    if len(message.data) <= 1024:
        answer["data_base64"] = base64.b64encode(message.data).decode()
    return answer


def fetch(command):
    """Messages until the stream ends.

    With `take` it is cancelled after so many; with `hold` it says so after the first under that name, and reads on
    when it is told to proceed.
    """
    request = proto.FetchRequest(
        subject=command["subject"], durable_name=command["durable"], batch_size=command.get("batch", 0)
    )
    call = channel_of(command).egress.Fetch(request, **call_options(command))
    messages = []
    try:
        for message in call:
            messages.append(message_map(message))
            if len(messages) == command.get("take"):
                call.cancel()
                return {"messages": messages, "trailers": {}}
            if len(messages) == 1 and "hold" in command:
                hold(command["hold"])
    except grpc.RpcError:
        return {"messages": messages, "error": failure(call)}
    return {"messages": messages, "trailers": metadata_map(call.trailing_metadata())}


def hold(name):
    held[name] = threading.Event()
    write({"stream": name, "held": True})
    held[name].wait()


def proceed(command):
    held[command["stream"]].set()
    return {}


def ack(command):
    request = proto.AckRequest(
        durable_name=command["durable"], subject=command["subject"], sequence=int(command["sequence"])
    )
    answer = channel_of(command).egress.AckMessage(request, **call_options(command))
    return {"success": answer.success, "error_message": answer.error_message}


def subscribe_request(command):
    request = proto.SubscribeRequest(subject=command["subject"], **{DURABLE_FIELD: command["durable"]})
    if "start" in command:
        request.start_sequence = int(command["start"])
    return request


def subscribe(command):
    """Answers at once; what comes then is written under the name of the stream."""
    name = command["stream"]
    call = channel_of(command).egress.Subscribe(subscribe_request(command), **call_options(command))
    streams[name] = call

    def read():
        try:
            for notification in call:
                write({"stream": name, "subject": notification.subject, "sequence": notification.sequence})
        except grpc.RpcError:
            pass
        write({"stream": name, "end": failure(call)})

    threading.Thread(target=read, daemon=True).start()
    return {}


def cancel(command):
    streams.pop(command["stream"]).cancel()
    return {}


def cancel_early(command):
    """Starts calls of one method and cancels each 0, 1 or 2 ms later, without having read anything."""
    channel = channel_of(command)
    start = {
        "Subscribe": lambda: channel.egress.Subscribe(subscribe_request(command)),
        "Fetch": lambda: channel.egress.Fetch(
            proto.FetchRequest(subject=command["subject"], durable_name=command["durable"], batch_size=100)
        ),
        "Publish": lambda: channel.ingress.Publish.future(publish_request(command)),
    }[command["method"]]

    def one(index):
        call = start()
        time.sleep(index % 3 / 1000)
        call.cancel()
        return call.code().name

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, range(command["times"])))
    return {"codes": {code: codes.count(code) for code in set(codes)}}


def open_channel(command):
    channels[command["channel"]] = Channel(command)
    return {}


def close_channel(command):
    channels.pop(command["channel"]).channel.close()
    return {}


COMMANDS = {
    "open": open_channel,
    "close": close_channel,
    "publish": publish,
    "publish_many": publish_many,
    "last": last,
    "fetch": fetch,
    "proceed": proceed,
    "ack": ack,
    "subscribe": subscribe,
    "cancel": cancel,
    "cancel_early": cancel_early,
}


def run(command):
    try:
        answer = COMMANDS[command["op"]](command)
    except grpc.RpcError as error:
        answer = {"error": failure(error)}
    except Exception as error:  # a fault of the program itself: the test must see it, not wait
        answer = {"broken": f"{type(error).__name__}: {error}"}
    write({"id": command["id"], **answer})


for line in sys.stdin:
    threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()
