/**
 * Policies that wait for acknowledgements: which fields go together, and how they are shown.
 * @module
 */
import { expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { parseFilter } from "../core/subject.ts";
import { parsePolicy, policyView } from "./policy.ts";

const filter = parseFilter(">");

test("named recipients are kept in byte order", () => {
  // By UTF-16 units the last two would stand the other way round.
  const policy = parsePolicy({ retain: "acked", recipients: ["𐐷", "b", "ﬀ", "a"] });
  expect(policy).toMatchObject({ retain: "acked", recipients: ["a", "b", "ﬀ", "𐐷"], recipientTimeoutMs: null });
});

test("shown as they were put", () => {
  const bodies = [
    { retain: "acked", recipients: ["a", "b"], recipient_timeout: "7d" },
    { retain: "acked", recipients: 2, recipient_timeout: null },
    { retain: "limits", recipients: null, recipient_timeout: null },
  ];
  for (const body of bodies) expect(policyView({ filter, policy: parsePolicy(body) })).toMatchObject(body);
  expect(policyView({ filter, policy: parsePolicy({}) })).toMatchObject({ retain: "limits", recipients: null });
});

test.each([
  [{ retain: "all" }, "retain"],
  [{ retain: null }, "retain"],
  [{ retain: "acked" }, "recipients"],
  [{ retain: "acked", recipients: null }, "recipients"],
  [{ retain: "acked", recipients: [] }, "recipients"],
  [{ retain: "acked", recipients: 0 }, "recipients"],
  [{ retain: "acked", recipients: 1.5 }, "recipients"],
  [{ retain: "acked", recipients: "a" }, "recipients"],
  [{ retain: "acked", recipients: ["a", "a"] }, "recipients"],
  [{ retain: "acked", recipients: ["a b"] }, "recipients"],
  [{ retain: "acked", recipients: [5] }, "recipients"],
  [{ retain: "acked", recipients: Array.from({ length: 101 }, (_, i) => `c${i}`) }, "recipients"],
  [{ recipients: ["a"] }, "recipients"],
  [{ retain: "limits", recipients: 1 }, "recipients"],
  [{ recipient_timeout: "1h" }, "recipient_timeout"],
  [{ retain: "acked", recipients: 1, recipient_timeout: "1h" }, "recipient_timeout"],
  [{ retain: "acked", recipients: ["a"], recipient_timeout: "0s" }, "recipient_timeout"],
  [{ retain: "acked", recipients: ["a"], recipient_timeout: 5 }, "recipient_timeout"],
])("%j is refused", (body, parameter) => {
  try {
    parsePolicy(body);
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    expect([error.code, error.fields["parameter"]]).toEqual(["invalid_parameter", parameter]);
  }
});
