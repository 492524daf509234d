"""What schemathesis has to know beside the OpenAPI document; scripts/check-api loads it.

MessagePack in both directions, waits that end soon, and the few answers that depend on what is stored.
"""

import unicodedata
from urllib.parse import unquote

import msgpack
import schemathesis

MSGPACK = "application/msgpack"
NAME_BYTES_MAX = 255
WAIT_MS_MAX = 60_000
# Long polls are tried with every value that the document allows, and cut to this one on the wire.
WAIT_MS_TRIED = 20

# A well-formed request may be refused for the state that it meets, which no schema can say. The contract gives these
# codes (HEAD has no body to carry one, so 410 stands alone there); everything else that is refused is a failure.
STATE_CODES = {
    "wrong_last_sequence",  # 412: Expected-Last-Sequence is another one
    "message_expired",  # 410: the sequence was there and was deleted
    "range_not_satisfiable",  # 416: the body is shorter
    "sequence_out_of_range",  # 422: ack or nack beyond the last sequence
    "wrong_ack_mode",  # 422: nack, or sequences, on a consumer that acknowledges through a sequence
    "no_dead_letters",  # 422: redrive of a consumer that has no subject for them
    "upload_mismatch",  # 422: the upload was opened for another body
    "body_too_large",  # 413: the largest body is the server's configuration
}

# The same for values that are right by themselves; the code is `invalid_parameter` then, with one of these parameters.
STATE_PARAMETERS = {
    "delay",  # not with Expected-Last-Sequence
    "deliver-at",  # not with Delay or Expected-Last-Sequence, and not more than a year from now
    "wait",  # not with a delay
    "deliver",  # an empty body has no pointer
    "dead_letter",  # not the consumer's own subject
    "error",  # counted in bytes
    "cursor",  # only those that a page gave
}

# Arrays of events are refused for what the document lets them be: no entry that is right, or a key for all of them.
BATCH_CODES = {
    "invalid_event",
    "invalid_message_id",  # not in a header, where it would be one key for all entries
}


def is_second_key(problem):
    """An event that has its key as a field, beside the header: no schema says that only one of them may be there."""
    if problem.get("code") != "invalid_event":
        return False
    return [fault["field"] for fault in problem["errors"]] == ["idempotency_key"]


@schemathesis.serializer(MSGPACK)
def to_msgpack(ctx, value):
    """Bodies as MessagePack."""
    return msgpack.packb(packable(value), unicode_errors="replace")


def packable(value):
    """Integers over 64 bits, which only JSON can hold, as text: neither means anything to the server."""
    if isinstance(value, dict):
        return {key: packable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [packable(item) for item in value]
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


@schemathesis.deserializer(MSGPACK)
def from_msgpack(ctx, response):
    """Answers as JSON values: the document calls bytes strings, as OpenAPI does."""
    return as_json(msgpack.unpackb(response.content, raw=False))


def as_json(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    """The two rules of names that the document says in words, because a pattern cannot."""
    # They come percent-encoded.
    names = [unquote(value) for value in (path_parameters or {}).values() if isinstance(value, str)]
    # A name with a percent sign is percent-decoded twice when schemathesis uses it again in a later request.
    return all(fits(name) and "%" not in name for name in names)


def fits(name):
    return len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX and unicodedata.is_normalized("NFC", name)


@schemathesis.hook
def filter_query(context, query):
    """A space goes out as `+`, as in forms; the server takes `+` for what it is, a character of subjects."""
    return not any(" " in value for value in (query or {}).values() if isinstance(value, str))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Shortens waits that the document allows; what it does not allow goes out as it is."""
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query.setdefault("wait_ms", WAIT_MS_TRIED)
    for values in (case.query, case.body):
        if isinstance(values, dict) and is_wait(values.get("wait_ms")):
            values["wait_ms"] = min(int(values["wait_ms"]), WAIT_MS_TRIED)


def is_wait(value):
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and int(value) <= WAIT_MS_MAX
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= WAIT_MS_MAX


# Consumers that were deleted and are there again: a fetch makes the consumer it is asked for, and so does a PUT.
remade = set()


@schemathesis.hook
def after_call(context, case, response):
    """Remembers which consumers came back after their DELETE."""
    if not 200 <= response.status_code < 300 or "name" not in (case.path_parameters or {}):
        return
    consumer = consumer_of(case)
    if case.method.upper() == "DELETE":
        remade.discard(consumer)
    elif case.method.upper() == "PUT" or case.path.endswith("/fetch"):
        remade.add(consumer)


def consumer_of(case):
    return str(case.path_parameters.get("subject")), str(case.path_parameters.get("name"))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Takes state for what it is, in three checks only."""
    if failure.code == "ST301":
        return "name" not in (case.path_parameters or {}) or consumer_of(case) not in remade
    if failure.code not in ("ST201", "ST202"):
        return True
    # A name with a percent sign from an answer, percent-decoded twice when it is used again, is no valid one any more.
    if failure.code == "ST202" and any(is_impossible(value) for value in (case.path_parameters or {}).values()):
        return False
    # More is read of CloudEvents than the document asks for: their attributes stand for what the data leaves out, and null
    # is an attribute that is not set.
    if failure.code == "ST201" and "cloudevents" in str(case.media_type):
        return False
    if case.method.upper() == "HEAD":
        return response.status_code != 410 and not (response.status_code == 422 and asks_for_pointer(case))
    try:
        problem = response.json()
        state = problem.get("code") == "invalid_parameter" and problem.get("parameter") in STATE_PARAMETERS
        state = state or (isinstance(case.body, list) and problem.get("code") in BATCH_CODES)
        state = state or is_second_key(problem)
        return not state and problem.get("code") not in STATE_CODES
    except (ValueError, AttributeError):
        return True


def is_impossible(value):
    """Whether a name in a path has a character that none has; the document allows none of them."""
    name = unquote(value) if isinstance(value, str) else ""
    return any(c not in "_-/:@%+=~.*>" and unicodedata.category(c)[0] not in "LMN" for c in name)


def asks_for_pointer(case):
    return isinstance(case.query, dict) and case.query.get("deliver") == "pointer"
