/**
 * How retention policies appear in the OpenAPI document.
 * @module
 */
import { recipientsMax, sequenceMax } from "../../../core/limits.ts";
import {
  contentOf,
  integer,
  type Operation,
  type Parameter,
  problems,
  ref,
  type Schema,
  storeErrors,
  structured,
} from "./operation.ts";

const filterInPath: Parameter = {
  name: "filter",
  in: "path",
  required: true,
  description: "The filter, as one percent-encoded segment.",
  schema: ref("SubjectFilter"),
  example: "orders.*",
};

/** How many digits an age may have, so that its milliseconds stay below 2^53; not zero. */
const agePattern = "^[1-9](?:[0-9]{0,13}ms|[0-9]{0,11}s|[0-9]{0,10}m|[0-9]{0,8}h|[0-9]{0,7}d|[0-9]{0,6}w)$";
const sizePattern = "^[1-9][0-9]{0,5}(?:B|kB|KB|MB|GB|KiB|MiB|GiB)?$";

const limits: Readonly<Record<string, Schema>> = {
  max_age: {
    type: "string",
    nullable: true,
    pattern: agePattern,
    description: "Messages are gone this long after their timestamp; null keeps them.",
  },
  max_messages: { ...integer(1, sequenceMax), nullable: true, description: "Messages stored at once." },
  max_bytes: {
    anyOf: [
      { ...integer(1, sequenceMax), nullable: true },
      { type: "string", pattern: sizePattern },
    ],
    description: "Bytes of the stored bodies, also as a size such as `10MiB`.",
  },
  discard: {
    type: "string",
    enum: ["old", "new"],
    default: "old",
    description: "At a limit: the oldest messages go, or publishes are refused with `subject_full`.",
  },
};

const acked: Schema = {
  type: "string",
  enum: ["acked"],
  description: "Within the limits, a message goes as soon as all its recipients have acknowledged it.",
};

const variant = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: "object",
  additionalProperties: false,
  properties: { ...limits, ...properties },
  ...(required.length === 0 ? {} : { required }),
});

/** Null, or left out. */
const nothing: Schema = { type: "string", nullable: true, enum: [null] };

const policyBody: Schema = {
  anyOf: [
    variant({
      retain: { type: "string", enum: ["limits"], default: "limits" },
      recipients: nothing,
      recipient_timeout: nothing,
    }),
    variant(
      {
        retain: acked,
        recipients: {
          type: "array",
          minItems: 1,
          maxItems: recipientsMax,
          uniqueItems: true,
          items: ref("ConsumerName"),
          description: "The consumers that must acknowledge a message, by name.",
        },
        recipient_timeout: {
          type: "string",
          nullable: true,
          pattern: agePattern,
          description: "One that gave no sign for so long is not waited for; null waits for ever.",
        },
      },
      ["retain", "recipients"],
    ),
    variant(
      {
        retain: acked,
        recipients: integer(1, sequenceMax, { description: "How many consumers must acknowledge a message." }),
        recipient_timeout: nothing,
      },
      ["retain", "recipients"],
    ),
  ],
};

const pathErrors = [...storeErrors, "invalid_filter", "not_acceptable"] as const;

export const listPoliciesOperation: Operation = {
  operationId: "listPolicies",
  tags: ["policies"],
  summary: "All retention policies",
  responses: {
    "200": structured("In byte order of their filters.", ref("PolicyList")),
    ...problems([...storeErrors, "not_acceptable"]),
  },
};

export const putPolicyOperation: Operation = {
  operationId: "putPolicy",
  tags: ["policies"],
  summary: "Set what is kept of the subjects of a filter",
  description:
    "It holds for what is stored already, too. For every subject the most specific filter decides alone: token by " +
    "token from the left, a plain token comes before `*`, and `*` before `>`.",
  parameters: [filterInPath],
  requestBody: { required: false, content: contentOf(["json", "msgpack"], policyBody, { max_age: "24h" }) },
  responses: {
    "201": structured("The filter had none before.", ref("Policy")),
    "200": structured("It replaced another, or the same was there.", ref("Policy")),
    ...problems([
      ...pathErrors,
      "malformed_body",
      "body_too_large",
      "body_too_slow",
      "unsupported_media_type",
      "unknown_field",
      "invalid_parameter",
      "too_many_policies",
    ]),
  },
};

export const getPolicyOperation: Operation = {
  operationId: "getPolicy",
  tags: ["policies"],
  summary: "The policy of a filter",
  parameters: [filterInPath],
  responses: {
    "200": structured("The policy.", ref("Policy")),
    ...problems([...pathErrors, "policy_not_found"]),
  },
};

export const deletePolicyOperation: Operation = {
  operationId: "deletePolicy",
  tags: ["policies"],
  summary: "Delete the policy of a filter",
  description: "From then on a wider filter decides, or everything is kept.",
  parameters: [filterInPath],
  responses: {
    "200": structured("The policy that it had.", ref("Policy")),
    ...problems([...pathErrors, "policy_not_found"]),
  },
};
