/**
 * CloudEvents 1.0 over HTTP by the official SDKs of npm and PyPI, in every mode, in and out; and what is no CloudEvent.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { CloudEvent, type CloudEventV1, HTTP } from "cloudevents";
import { guard, release } from "../guardian.ts";
import { installedPath } from "../installed.ts";
import { useTestServer } from "../server.ts";

setDefaultTimeout(60_000);

const server = useTestServer();
const events = (): string => `${server().url}/events`;

interface Receipt {
  readonly id: string;
  readonly user_id: string;
  readonly amount: number;
  readonly timestamp: string;
  readonly duplicate: boolean;
  readonly code?: string;
  readonly errors?: readonly { readonly field: string }[];
}

const cloudEvent = (id: string, more: Readonly<Record<string, unknown>> = {}): CloudEvent<unknown> =>
  new CloudEvent({
    id,
    source: "/shop/node",
    type: "com.example.order.return",
    time: "2024-01-15T10:30:00.123Z",
    subject: "order-7",
    datacontenttype: "application/json",
    traceparent: "00-abc",
    data: { user_id: `node ${id}`, event_type: "return", amount: 1.5 },
    ...more,
  });

const send = async (
  message: { readonly headers: unknown; readonly body: unknown },
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Receipt }> => {
  const response = await fetch(events(), {
    method: "POST",
    headers: { ...(message.headers as Record<string, string>), ...headers },
    body: typeof message.body === "string" ? message.body : JSON.stringify(message.body),
  });
  return { status: response.status, body: (await response.json()) as Receipt };
};

/** What the SDK makes of an answer. */
const receive = async (path: string, accept: string): Promise<CloudEventV1<unknown> | CloudEventV1<unknown>[]> => {
  const response = await fetch(`${events()}${path}`, { headers: { accept } });
  expect(response.status).toBe(200);
  return HTTP.toEvent({ headers: Object.fromEntries(response.headers), body: await response.text() });
};

const one = (received: CloudEventV1<unknown> | CloudEventV1<unknown>[]): CloudEventV1<unknown> => {
  if (!Array.isArray(received)) return received;
  throw new Error("it is not one event");
};

describe("the SDK of npm", () => {
  test.each([
    ["binary", HTTP.binary],
    ["structured", HTTP.structured],
  ] as const)("sends in %s mode, once for each id, and gets it back in both", async (name, encode) => {
    const event = cloudEvent(`npm-${name}`);
    const first = await send(encode(event));
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      ...{ user_id: `node npm-${name}`, event_type: "return", amount: 1.5 },
      ...{ timestamp: "2024-01-15T10:30:00.123Z", duplicate: false },
    });
    const again = await send(encode(event));
    expect([again.status, again.body.id, again.body.duplicate]).toEqual([200, first.body.id, true]);
    // Of another sender it is another event.
    const other = await send(encode(cloudEvent(`npm-${name}`, { source: "/elsewhere" })));
    expect([other.status, other.body.duplicate]).toEqual([201, false]);
    for (const accept of ["application/cloudevents+json", "application/json"]) {
      const back = one(await receive(`/${first.body.id}`, accept));
      expect(back).toMatchObject({
        ...{ id: event.id, source: event.source, type: event.type, time: event.time, subject: event.subject },
        ...{ specversion: "1.0", traceparent: "00-abc" },
      });
      expect(back.data).toMatchObject({ user_id: `node npm-${name}`, event_type: "return", amount: 1.5 });
    }
  });

  test("gets batches", async () => {
    const batch = [
      cloudEvent("batch-1"),
      cloudEvent("batch-2", { type: "return", data: { user_id: "b", amount: "2.50" } }),
    ];
    const response = await fetch(events(), {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify([...batch, { specversion: "1.0", id: "batch-3" }]),
    });
    expect(response.status).toBe(200);
    const { results } = (await response.json()) as { readonly results: readonly { readonly error?: Receipt }[] };
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, undefined, "invalid_event"]);
    expect(results[2]?.error?.errors?.map(({ field }) => field)).toEqual([
      ...["events[2].source", "events[2].type", "events[2].data"],
    ]);
    const received = await receive("?event_type=return&limit=2", "application/cloudevents-batch+json");
    if (!Array.isArray(received)) throw new Error("it is one event");
    expect(received.map(({ id }) => id)).toEqual(["batch-2", "batch-1"]);
  });

  test("gets what nobody sent as a CloudEvent", async () => {
    const event = { user_id: "Zoë", event_type: "purchase", amount: 3, timestamp: "2024-01-15T10:30:00" };
    const sent = await fetch(events(), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(event),
    });
    const { id } = (await sent.json()) as Receipt;
    for (const accept of ["application/cloudevents+json", "application/json"]) {
      const back = one(await receive(`/${id}`, accept));
      expect(back).toMatchObject({ id, source: "/events", type: "event.purchase", time: "2024-01-15T10:30:00.000Z" });
      expect(accept === "application/json" ? decodeURIComponent(back.subject ?? "") : back.subject).toBe("Zoë");
      expect(back.data).toMatchObject(event);
    }
  });
});

const run = async (command: readonly string[]): Promise<string> => {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  guard(child.pid);
  const text = await child.stdout.text();
  const code = await child.exited;
  release(child.pid);
  if (code !== 0) throw new Error(`${command[0] ?? ""} ended with ${code}; standard error says why`);
  return text;
};

interface PythonEvent {
  readonly attributes: Readonly<Record<string, string>>;
  readonly data: unknown;
}

test("the SDK of PyPI sends and gets events in every mode", async () => {
  const python = await installedPath("cloudevents", "cloudevents_python");
  const { sent, batch, read, listed } = JSON.parse(
    await run([python, join(import.meta.dir, "python", "client.py"), server().url]),
  ) as {
    readonly sent: readonly (readonly [number, Receipt, number, Receipt])[];
    readonly batch: readonly [number, readonly Receipt[]];
    readonly read: readonly (readonly PythonEvent[])[];
    readonly listed: readonly PythonEvent[];
  };
  for (const [status, receipt, again, repeated] of sent) {
    expect([status, again, repeated.duplicate, repeated.id]).toEqual([201, 200, true, receipt.id]);
  }
  expect([batch[0], batch[1].length]).toEqual([200, 2]);
  const attributes = (number: number) => ({
    ...{ id: `py ${number} ü %41`, source: "/shop/python", type: "com.example.order.refund" },
    ...{ subject: "order 7", trace: 'a"b', time: "2024-01-15 10:30:00.123456+00:00", specversion: "1.0" },
  });
  expect(read).toHaveLength(4);
  for (const [number, modes] of read.entries()) {
    expect(modes).toHaveLength(2);
    for (const event of modes) {
      expect(event.attributes).toMatchObject(attributes(number));
      expect(event.data).toMatchObject({
        user_id: `python-${number}`,
        event_type: "refund",
        amount: 10 + number / 100,
      });
    }
  }
  expect(listed.map((event) => event.attributes["id"])).toEqual([3, 2, 1, 0].map((number) => attributes(number).id));
});

describe("what is no CloudEvent", () => {
  const binary = { "content-type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x" };
  const data = { user_id: "u", event_type: "purchase", amount: 1, timestamp: "2024-01-15T10:30:00Z" };

  test.each([
    [{ ...binary }, data, ["ce-type"]],
    [{ ...binary, "ce-type": "t", "ce-specversion": "0.3" }, data, ["ce-specversion"]],
    [{ ...binary, "ce-type": "t", "ce-time": "now" }, data, ["ce-time"]],
    [{ ...binary, "ce-type": "t", "ce-bad_name": "1" }, data, ["ce-bad_name"]],
    [{ ...binary, "ce-type": "t" }, { ...data, amount: -1, event_type: undefined }, ["event_type", "amount"]],
  ])("in binary mode: %j", async (headers, body, fields) => {
    const answer = await send({ headers, body });
    expect(answer).toMatchObject({ status: 422, body: { code: "invalid_event" } });
    expect(answer.body.errors?.map(({ field }) => field)).toEqual(fields);
  });

  test.each([
    [{ id: "1", source: "/x", type: "t", data }, ["specversion"]],
    [{ specversion: "1.0", id: 1, source: "", type: "t", data }, ["id", "source"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t", data: { ...data, x: 1 } }, ["data.x"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t" }, ["data"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t", data, data_base64: "e30=" }, ["data_base64"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t", data_base64: "?" }, ["data_base64"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t", data, extra: {} }, ["extra"]],
    [{ specversion: "1.0", id: "1", source: "/x", type: "t", data, datacontenttype: "text/xml" }, ["datacontenttype"]],
    [[], ["event"]],
  ])("in structured mode: %j", async (body, fields) => {
    const answer = await send({ headers: { "content-type": "application/cloudevents+json" }, body });
    expect(answer).toMatchObject({ status: 422, body: { code: "invalid_event" } });
    expect(answer.body.errors?.map(({ field }) => field)).toEqual(fields);
  });

  test("data as base64 of JSON is data", async () => {
    const body = {
      ...{ specversion: "1.0", id: "base64", source: "/x", type: "t", time: null },
      data_base64: Buffer.from(JSON.stringify(data)).toString("base64"),
    };
    expect((await send({ headers: { "content-type": "application/cloudevents+json" }, body })).status).toBe(201);
  });

  test("other formats, and data of another type, are not read", async () => {
    const types = ["application/cloudevents+xml", "application/cloudevents-batch+xml", "application/cloudevents+avro"];
    for (const type of types) {
      expect((await send({ headers: { "content-type": type }, body: data })).status).toBe(415);
    }
    expect(
      (await send({ headers: { ...binary, "ce-type": "t", "content-type": "text/plain" }, body: data })).status,
    ).toBe(415);
  });
});
