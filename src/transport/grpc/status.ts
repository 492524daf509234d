/**
 * gRPC status codes, the one table from our error codes to them, and the trailers that carry both.
 * @module
 */
import { type ErrorCode, type FieldFault, StreamError } from "../../core/errors.ts";
import { ProtoWriter } from "./protobuf.ts";

/** The codes, as in https://grpc.io/docs/guides/status-codes/. */
export const grpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a status. */
export type StatusName = keyof typeof grpcStatus;

/** What each of our codes is in gRPC. */
const statusOf: Readonly<Record<ErrorCode, StatusName>> = {
  malformed_body: "INVALID_ARGUMENT",
  malformed_request: "INVALID_ARGUMENT",
  unsupported_subprotocol: "INVALID_ARGUMENT",
  unauthenticated: "UNAUTHENTICATED",
  token_expired: "UNAUTHENTICATED",
  permission_denied: "PERMISSION_DENIED",
  origin_not_allowed: "PERMISSION_DENIED",
  not_found: "UNIMPLEMENTED",
  subject_not_found: "NOT_FOUND",
  event_not_found: "NOT_FOUND",
  actor_not_found: "NOT_FOUND",
  message_not_found: "NOT_FOUND",
  consumer_not_found: "NOT_FOUND",
  method_not_allowed: "UNIMPLEMENTED",
  not_acceptable: "INVALID_ARGUMENT",
  consumer_exists: "ALREADY_EXISTS",
  message_expired: "NOT_FOUND",
  // "The client should retry at a higher level, such as when a client-specified test-and-set fails."
  wrong_last_sequence: "ABORTED",
  body_too_large: "RESOURCE_EXHAUSTED",
  unsupported_media_type: "UNIMPLEMENTED",
  range_not_satisfiable: "OUT_OF_RANGE",
  invalid_subject: "INVALID_ARGUMENT",
  invalid_filter: "INVALID_ARGUMENT",
  invalid_consumer: "INVALID_ARGUMENT",
  invalid_header: "INVALID_ARGUMENT",
  invalid_message_id: "INVALID_ARGUMENT",
  invalid_parameter: "INVALID_ARGUMENT",
  unknown_parameter: "INVALID_ARGUMENT",
  unknown_field: "INVALID_ARGUMENT",
  query_too_costly: "INVALID_ARGUMENT",
  unknown_op: "UNIMPLEMENTED",
  too_many_messages: "INVALID_ARGUMENT",
  too_many_subscriptions: "RESOURCE_EXHAUSTED",
  upload_not_found: "NOT_FOUND",
  upload_mismatch: "FAILED_PRECONDITION",
  invalid_event: "INVALID_ARGUMENT",
  invalid_pointer: "INVALID_ARGUMENT",
  no_dead_letters: "FAILED_PRECONDITION",
  subscription_not_found: "NOT_FOUND",
  too_many_policies: "RESOURCE_EXHAUSTED",
  policy_not_found: "NOT_FOUND",
  sequence_out_of_range: "OUT_OF_RANGE",
  wrong_ack_mode: "FAILED_PRECONDITION",
  upgrade_required: "UNIMPLEMENTED",
  too_many_connections: "RESOURCE_EXHAUSTED",
  body_too_slow: "DEADLINE_EXCEEDED",
  data_loss: "DATA_LOSS",
  internal: "INTERNAL",
  overloaded: "UNAVAILABLE",
  unavailable: "UNAVAILABLE",
  shutting_down: "UNAVAILABLE",
  // Not UNAVAILABLE: clients repeat that by themselves, and without a message id the message would be there twice.
  outcome_unknown: "UNKNOWN",
  subject_full: "RESOURCE_EXHAUSTED",
  storage_full: "RESOURCE_EXHAUSTED",
};

/** An end of a call that is gRPC's own and has no code of the stream. */
export class GrpcFault extends Error {
  override readonly name = "GrpcFault";

  constructor(
    readonly status: StatusName,
    message: string,
  ) {
    super(message);
  }
}

/** The status that a failure ends a call with. */
export const statusNameOf = (failure: StreamError | GrpcFault): StatusName =>
  failure instanceof GrpcFault ? failure.status : statusOf[failure.code];

/** `grpc-message` is percent-encoded UTF-8 with printable ASCII left as it is. */
const encodeMessage = (text: string): string =>
  /^[ -$&-~]*$/.test(text)
    ? text
    : [...Buffer.from(text.toWellFormed(), "utf8")]
        .map((byte) =>
          byte >= 0x20 && byte <= 0x7e && byte !== 0x25
            ? String.fromCharCode(byte)
            : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
        )
        .join("");

/** Texts of fields, as `google.rpc.ErrorInfo` and our own `Error` carry them. */
export const errorFieldTexts = (error: StreamError): Record<string, string> =>
  Object.fromEntries(
    Object.entries(error.fields).map(([name, value]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );

const errorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
const errorDomain = "minitoolstream";
const badRequestUrl = "type.googleapis.com/google.rpc.BadRequest";

const anyOf = (url: string, message: Uint8Array): Buffer => new ProtoWriter().string(1, url).bytes(2, message).done();

/** What is wrong with the fields of a request, where the failure names them. */
const faultsOf = ({ fields }: StreamError): readonly FieldFault[] =>
  Array.isArray(fields["errors"])
    ? fields["errors"].filter((fault): fault is FieldFault => typeof fault === "object")
    : [];

/** What went wrong, in sentences: everything, where fields are wrong. */
export const detailOf = (error: StreamError): string => {
  const faults = faultsOf(error);
  return faults.length === 0 ? error.message : faults.map(({ detail }) => detail).join(" ");
};

const badRequest = (faults: readonly FieldFault[]): Buffer => {
  const writer = new ProtoWriter();
  for (const { field, detail } of faults) {
    writer.presentBytes(1, new ProtoWriter().string(1, field).string(2, detail).done());
  }
  return writer.done();
};

/**
 * `google.rpc.Status` with a `google.rpc.ErrorInfo`, whose reason is our code, and behind it a `google.rpc.BadRequest`
 * when fields are wrong.
 */
const statusDetails = (error: StreamError): Buffer => {
  const info = new ProtoWriter()
    .string(1, error.code)
    .string(2, errorDomain)
    .map(3, { ...errorFieldTexts(error), retryable: String(error.retryable) })
    .done();
  const status = new ProtoWriter()
    .number(1, grpcStatus[statusOf[error.code]])
    .string(2, detailOf(error))
    .bytes(3, anyOf(errorInfoUrl, info));
  const faults = faultsOf(error);
  if (faults.length > 0) status.bytes(3, anyOf(badRequestUrl, badRequest(faults)));
  return status.done();
};

/** Trailers as node writes them. */
export type Trailers = Record<string, string>;

/** The trailers of a call that failed. The cause of an error stays in the server. */
export const failureTrailers = (failure: StreamError | GrpcFault): Trailers => {
  const trailers: Trailers = {
    "grpc-status": String(grpcStatus[statusNameOf(failure)]),
    "grpc-message": encodeMessage(failure instanceof StreamError ? detailOf(failure) : failure.message),
  };
  if (failure instanceof StreamError) {
    trailers["mts-code"] = failure.code;
    trailers["mts-retryable"] = String(failure.retryable);
    trailers["grpc-status-details-bin"] = statusDetails(failure).toString("base64").replace(/=+$/, "");
  }
  return trailers;
};
