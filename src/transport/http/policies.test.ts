/**
 * Policies over HTTP, and from the configuration, on a real server.
 * @module
 */
import { expect, test } from "bun:test";
import { policyPath } from "../../testing/policies.ts";
import { startTestServer, useTestServer } from "../../testing/server.ts";

const server = useTestServer();

const call = async (method: string, path: string, body?: unknown, url = server().url) => {
  const response = await fetch(`${url}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: response.status, body: await response.json() };
};

const none = {
  max_age: null,
  max_messages: null,
  max_bytes: null,
  discard: "old",
  retain: "limits",
  recipients: null,
  recipient_timeout: null,
};

test("put, replaced, shown, listed in order, deleted", async () => {
  const filter = "заказы/eu.*.>";
  const path = policyPath(filter);
  const full = { ...none, filter, max_age: "24h", max_bytes: 10 * 1024 * 1024 };
  expect(await call("PUT", path, { max_age: "24h", max_bytes: "10MiB" })).toEqual({ status: 201, body: full });
  expect(await call("PUT", path, { max_age: "24h", max_bytes: "10MiB" })).toEqual({ status: 200, body: full });
  const other = { ...full, max_age: "7d", discard: "new" };
  expect(await call("PUT", path, { max_age: "1w", max_bytes: 10485760, discard: "new" })).toEqual({
    status: 200,
    body: other,
  });
  expect(await call("GET", path)).toEqual({ status: 200, body: other });
  expect(await call("PUT", policyPath(">"), { max_age: null })).toEqual({
    status: 201,
    body: { ...none, filter: ">" },
  });
  expect(await call("GET", "/v1/policies")).toEqual({
    status: 200,
    body: { policies: [{ ...none, filter: ">" }, other] },
  });
  expect(await call("DELETE", path)).toEqual({ status: 200, body: other });
  for (const method of ["GET", "DELETE"]) {
    expect(await call(method, path)).toMatchObject({ status: 404, body: { code: "policy_not_found" } });
  }
});

test.each([
  [{ max_ages: "1h" }, "unknown_field"],
  [{ max_age: "0s" }, "invalid_parameter"],
  [{ max_age: "soon" }, "invalid_parameter"],
  [{ max_age: 5 }, "invalid_parameter"],
  [{ max_messages: 0 }, "invalid_parameter"],
  [{ max_messages: 1.5 }, "invalid_parameter"],
  [{ max_messages: "1" }, "invalid_parameter"],
  [{ max_bytes: "0MiB" }, "invalid_parameter"],
  [{ max_bytes: -1 }, "invalid_parameter"],
  [{ discard: "all" }, "invalid_parameter"],
  [{ discard: null }, "invalid_parameter"],
  [[], "invalid_parameter"],
])("%j is refused: %s", async (body, code) => {
  expect(await call("PUT", policyPath("bad"), body)).toMatchObject({ status: 422, body: { code } });
  expect((await call("GET", policyPath("bad"))).status).toBe(404);
});

test("a filter that is none is refused", async () => {
  for (const filter of ["a..b", "a.>.b", "a*"]) {
    expect(await call("PUT", policyPath(filter), {})).toMatchObject({ status: 422, body: { code: "invalid_filter" } });
  }
});

test("the configuration wins at every start, and leaves other filters alone", async () => {
  const policies = JSON.stringify({ "logs.>": { max_age: "1h" } });
  await using configured = await startTestServer({ env: { MTS_POLICIES: policies } });
  await call("PUT", policyPath("logs.>"), { max_age: "2h" }, configured.url);
  await call("PUT", policyPath("own"), { max_messages: 5 }, configured.url);
  await configured.restart();
  expect((await call("GET", "/v1/policies", undefined, configured.url)).body).toEqual({
    policies: [
      { ...none, filter: "logs.>", max_age: "1h" },
      { ...none, filter: "own", max_messages: 5 },
    ],
  });
});
