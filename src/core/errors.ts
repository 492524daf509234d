/**
 * The one error type of the stream and the one table of its codes. A code is stable and meant for programs, the
 * detail is for people; nobody matches on text. Transports map codes through `errorCodes`, they never invent any.
 * @module
 */

/** What a code means on the wire: HTTP status, RFC 9457 title, and whether the same request may work later. */
interface ErrorCodeSpec {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

/** Every code that can leave the server. */
export const errorCodes = {
  malformed_body: { status: 400, title: "The body cannot be read", retryable: false },
  malformed_request: { status: 400, title: "The request cannot be read", retryable: false },
  unsupported_subprotocol: { status: 400, title: "None of the offered subprotocols is known", retryable: false },
  unauthenticated: { status: 401, title: "A valid token is needed", retryable: false },
  token_expired: { status: 401, title: "The token has expired", retryable: false },
  permission_denied: { status: 403, title: "The token does not grant this", retryable: false },
  origin_not_allowed: { status: 403, title: "This origin is not allowed", retryable: false },
  not_found: { status: 404, title: "No such path", retryable: false },
  subject_not_found: { status: 404, title: "Nothing was ever published to this subject", retryable: false },
  event_not_found: { status: 404, title: "No such event", retryable: false },
  actor_not_found: { status: 404, title: "No such actor", retryable: false },
  message_not_found: { status: 404, title: "No such message", retryable: false },
  consumer_not_found: { status: 404, title: "No such consumer", retryable: false },
  method_not_allowed: { status: 405, title: "This path has no such method", retryable: false },
  not_acceptable: { status: 406, title: "None of the accepted types can be answered", retryable: false },
  body_too_slow: { status: 408, title: "The body came too slowly", retryable: true },
  consumer_exists: { status: 409, title: "The consumer exists with another configuration", retryable: false },
  message_expired: { status: 410, title: "The message was deleted or has expired", retryable: false },
  wrong_last_sequence: { status: 412, title: "The last sequence is another one", retryable: false },
  body_too_large: { status: 413, title: "The body is too large", retryable: false },
  unsupported_media_type: { status: 415, title: "This content type is not read here", retryable: false },
  range_not_satisfiable: { status: 416, title: "The range lies outside the body", retryable: false },
  invalid_subject: { status: 422, title: "The subject is invalid", retryable: false },
  invalid_filter: { status: 422, title: "The filter is invalid", retryable: false },
  invalid_consumer: { status: 422, title: "The consumer name is invalid", retryable: false },
  invalid_header: { status: 422, title: "A message header is invalid", retryable: false },
  invalid_message_id: { status: 422, title: "The message id is invalid", retryable: false },
  invalid_parameter: { status: 422, title: "A parameter has an invalid value", retryable: false },
  unknown_parameter: { status: 422, title: "There is no such query parameter", retryable: false },
  unknown_field: { status: 422, title: "There is no such field", retryable: false },
  query_too_costly: { status: 422, title: "The query asks for too much at once", retryable: false },
  unknown_op: { status: 422, title: "There is no such operation", retryable: false },
  too_many_messages: { status: 422, title: "The batch has too many messages", retryable: false },
  too_many_subscriptions: { status: 422, title: "The connection has too many subscriptions", retryable: false },
  upload_not_found: { status: 404, title: "No such upload", retryable: false },
  upload_mismatch: { status: 422, title: "The uploaded body is another one", retryable: false },
  invalid_event: { status: 422, title: "The event is invalid", retryable: false },
  invalid_pointer: { status: 422, title: "The pointer is invalid", retryable: false },
  no_dead_letters: { status: 422, title: "The consumer has no dead letters", retryable: false },
  subscription_not_found: { status: 404, title: "No such subscription", retryable: false },
  too_many_policies: { status: 422, title: "There are too many policies", retryable: false },
  policy_not_found: { status: 404, title: "This filter has no policy", retryable: false },
  sequence_out_of_range: { status: 422, title: "The sequence lies beyond the last one", retryable: false },
  wrong_ack_mode: { status: 422, title: "The consumer acknowledges in another way", retryable: false },
  upgrade_required: { status: 426, title: "This path speaks WebSocket only", retryable: false },
  too_many_connections: { status: 429, title: "Too many connections from this address", retryable: true },
  data_loss: { status: 500, title: "The stored body is damaged", retryable: false },
  internal: { status: 500, title: "Something went wrong in the server", retryable: true },
  overloaded: { status: 503, title: "The server has too much to do", retryable: true },
  unavailable: { status: 503, title: "A store does not answer", retryable: true },
  shutting_down: { status: 503, title: "The server is stopping", retryable: true },
  outcome_unknown: { status: 504, title: "The outcome of the publish is unknown", retryable: true },
  subject_full: { status: 507, title: "The subject's policy has no room for it", retryable: true },
  storage_full: { status: 507, title: "There is no room left to store it", retryable: true },
} as const satisfies Record<string, ErrorCodeSpec>;

/** A stable error code. */
export type ErrorCode = keyof typeof errorCodes;

/** Fields that travel beside `code` and `detail`, e.g. `last_sequence`; names as on the wire (snake_case). */
export type ErrorFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly FieldFault[] | null>
>;

/** What is wrong with one field of a body. */
export interface FieldFault {
  /** Its name on the wire; in a batch with the place before it, `events[3].amount`. */
  readonly field: string;
  /** A sentence. */
  readonly detail: string;
}

/** The error of every verb. `cause` keeps what it came from, for the log; it never leaves the server. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  /** @param detail one sentence for people that names the fix where there is one. */
  constructor(code: ErrorCode, detail: string, fields: ErrorFields = {}, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fields = fields;
  }

  /** HTTP status of the code. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** Whether the same request may work later. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

/** Turns whatever was thrown into a `StreamError`; what is not one is `internal` and keeps its cause for the log. */
export const toStreamError = (thrown: unknown): StreamError =>
  thrown instanceof StreamError
    ? thrown
    : new StreamError("internal", "An unexpected error; the server's log has it.", {}, thrown);

/** Thrown where the code itself is wrong; stays on in production. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Asserts what cannot happen. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
