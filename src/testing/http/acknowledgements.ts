/**
 * Who has acknowledged a message: policies that wait for it, receipts, and publishes that do.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { policyPath } from "../policies.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request, sendJson } from "./request.ts";

const publish = (server: TestServer, subject: string, query = "", headers = {}): Promise<Response> =>
  request(server, "POST", `${subjectPath(subject)}/messages${query}`, { headers, body: "x" });

const receipts = async (server: TestServer, subject: string, sequence: number): Promise<unknown> =>
  (await request(server, "GET", `${subjectPath(subject)}/messages/${sequence}/receipts`)).json();

const keep = async (server: TestServer, subject: string, policy: object): Promise<void> => {
  expect((await sendJson(server, "PUT", policyPath(subject), policy)).status).toBe(201);
};

const definePolicies = (server: () => TestServer): void => {
  test("a policy is shown with all its fields", async () => {
    const filter = uniqueSubject("policy");
    const policy = { retain: "acked", recipients: ["b", "a"], recipient_timeout: "168h" };
    const shown = {
      filter,
      max_age: null,
      max_messages: null,
      max_bytes: null,
      discard: "old",
      retain: "acked",
      recipients: ["a", "b"],
      recipient_timeout: "7d",
    };
    expect(await (await sendJson(server(), "PUT", policyPath(filter), policy)).json()).toEqual(shown);
    expect(await (await request(server(), "GET", policyPath(filter))).json()).toEqual(shown);
    const counted = await sendJson(server(), "PUT", policyPath(filter), { retain: "acked", recipients: 2 });
    expect(await counted.json()).toEqual({ ...shown, recipients: 2, recipient_timeout: null });
  });

  test("what all named recipients have acknowledged is gone", async () => {
    const subject = uniqueSubject("acked");
    await keep(server(), subject, { retain: "acked", recipients: ["a", "b"] });
    const client = new HttpClient(server().url);
    for (const name of ["a", "b"]) await client.putConsumer(subject, name, { ack: "explicit" });
    await client.publishBatch(["1", "2", "3"].map((body) => ({ subject, body })));
    for (const name of ["a", "b"]) await client.fetch(subject, name, { limit: 3 });
    await client.ack(subject, "a", { sequences: [2] });
    expect(await receipts(server(), subject, 2)).toEqual({
      subject,
      sequence: 2,
      released: false,
      recipients_total: 2,
      acked: 1,
      recipients: [
        { name: "a", status: "acked" },
        { name: "b", status: "pending" },
      ],
    });
    await client.ack(subject, "b", { sequences: [2] });
    expect(await receipts(server(), subject, 2)).toMatchObject({ released: true });
    expect((await client.read(subject)).messages.map(({ sequence }) => sequence)).toEqual([1, 3]);
  });
};

const defineReceipts = (server: () => TestServer): void => {
  test("without a policy, all consumers of the subject", async () => {
    const subject = uniqueSubject("receipts");
    const client = new HttpClient(server().url);
    await client.publish({ subject, body: "1" });
    await client.putConsumer(subject, "old", {});
    await client.putConsumer(subject, "young", { start: "new" });
    await client.ack(subject, "old", { sequence: 1 });
    expect(await receipts(server(), subject, 1)).toEqual({
      subject,
      sequence: 1,
      released: false,
      recipients_total: 1,
      acked: 1,
      recipients: [
        { name: "old", status: "acked" },
        { name: "young", status: "exempt" },
      ],
    });
  });

  test("a recipient that is not there owes it; what is not there has no receipts", async () => {
    const subject = uniqueSubject("receipts");
    await keep(server(), subject, { retain: "acked", recipients: ["nobody"] });
    await publish(server(), subject);
    expect(await receipts(server(), subject, 1)).toMatchObject({ recipients: [{ name: "nobody", status: "absent" }] });
    const path = `${subjectPath(subject)}/messages`;
    for (const sequence of ["2", "0", "99999999999999999999"]) {
      await expectProblem(await request(server(), "GET", `${path}/${sequence}/receipts`), 404, "message_not_found");
    }
    await expectProblem(await request(server(), "GET", `${path}/x/receipts`), 422, "invalid_parameter");
  });
};

const defineWaiting = (server: () => TestServer): void => {
  test("a publish waits until it is acknowledged", async () => {
    const subject = uniqueSubject("wait");
    const client = new HttpClient(server().url);
    for (const name of ["a", "b"]) await client.putConsumer(subject, name, {});
    const answer = publish(server(), subject, "?wait=acked&wait_ms=20000");
    for (const name of ["a", "b"]) {
      await client.fetch(subject, name, { waitMs: 20_000 });
      await client.ack(subject, name, { sequence: 1 });
    }
    const response = await answer;
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ sequence: 1, acked: 2, recipients_total: 2, acknowledged: true });
  });

  test("one of them is enough when one is asked for", async () => {
    const subject = uniqueSubject("wait");
    const client = new HttpClient(server().url);
    for (const name of ["a", "b"]) await client.putConsumer(subject, name, {});
    const answer = publish(server(), subject, "?wait=acked:1&wait_ms=20000");
    await client.fetch(subject, "b", { waitMs: 20_000, autoAck: true });
    expect(await (await answer).json()).toMatchObject({ acked: 1, recipients_total: 2, acknowledged: true });
  });

  test("when the time is over it says how it stands", async () => {
    const subject = uniqueSubject("wait");
    await new HttpClient(server().url).putConsumer(subject, "a", {});
    const headers = { "idempotency-key": "k" };
    for (const status of [201, 200]) {
      const response = await publish(server(), subject, "?wait=acked&wait_ms=1", headers);
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ sequence: 1, acked: 0, recipients_total: 1, acknowledged: false });
    }
  });

  test.each([
    ["?wait=all", {}, "wait"],
    ["?wait=acked:0", {}, "wait"],
    ["?wait=acked&wait_ms=60001", {}, "wait_ms"],
    ["?wait=acked", { delay: "1h" }, "wait"],
    ["?wait=acked&wait=acked", {}, "wait"],
  ])("%s with %j is refused", async (query, headers, parameter) => {
    const subject = uniqueSubject("wait");
    const response = await publish(server(), subject, query, headers);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter });
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });
};

/** The group. */
export const defineAcknowledgements = (server: () => TestServer): void => {
  describe("acknowledgements", () => {
    definePolicies(server);
    defineReceipts(server);
    defineWaiting(server);
  });
};
