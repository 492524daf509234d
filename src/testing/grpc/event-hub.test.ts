/**
 * `eventhub.EventHub` against the real server: one event, streams of events that are faster than the store, live events,
 * reflection, a client in another language, and tokens.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import { useAuthServer } from "../auth/server.ts";
import type { Grants } from "../auth/token.ts";
import { upTo } from "../expectations.ts";
import { faultEnvironment, heldLine } from "../faults/plan.ts";
import {
  callClientStream,
  callStream,
  callUnary,
  connectGrpc,
  GrpcStream,
  grpcClientError,
  loadService,
  type Method,
  methodOf,
} from "../grpc-client.ts";
import { guard, release } from "../guardian.ts";
import { startTestServer, useTestServer } from "../server.ts";
import { WireMap } from "../wire.ts";
import { grpcClientsFolder } from "./installed.ts";
import { callHeaders, frame, RawH2, type } from "./raw-h2.ts";

setDefaultTimeout(60_000);

const methods = loadService("event_hub.proto", "eventhub.EventHub");
const sendEvent = methodOf(methods, "SendEvent");
const sendEvents = methodOf(methods, "SendEvents");
const streamEvents = methodOf(methods, "StreamEvents");

const server = useTestServer();
let client: Client;
beforeAll(() => {
  client = connectGrpc(server().grpcTarget);
});
afterAll(() => client.close());

interface SentEvent {
  readonly user_id: string;
  readonly event_type: string;
  readonly amount: number;
  readonly timestamp: string;
  readonly idempotency_key?: string;
}

const good: SentEvent = {
  user_id: "user123",
  event_type: "purchase",
  amount: 150.75,
  timestamp: "2024-01-15T10:30:00+03:00",
};

let users = 0;
/** A user of this test alone. */
const newUser = (): string => `user-${users++}`;

/** An answer; what has its zero value is left out on the wire. */
const summaryOf = ({ fields }: WireMap): Readonly<Record<string, unknown>> => ({
  ...{ stored: 0, duplicates: 0, failed: 0, failures: [] },
  ...fields,
});

const rejection = async (promise: Promise<unknown>): Promise<ServiceError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error && "metadata" in error) return error as ServiceError;
    throw error;
  }
  throw new Error("it was answered");
};

/** Reads the details of a status with the general library. */
const detailMethods = ((): { readonly status: Method; readonly badRequest: Method } => {
  const text = (id: number) => ({ type: "string", id });
  const definition = fromJSON(
    {
      nested: {
        Details: {
          methods: {
            Status: { requestType: "Status", responseType: "Status", comment: "" },
            BadRequest: { requestType: "BadRequest", responseType: "BadRequest", comment: "" },
          },
        },
        Status: {
          fields: {
            code: { type: "int32", id: 1 },
            message: text(2),
            details: { rule: "repeated", type: "Any", id: 3 },
          },
        },
        Any: { fields: { type_url: text(1), value: { type: "bytes", id: 2 } } },
        BadRequest: { fields: { field_violations: { rule: "repeated", type: "FieldViolation", id: 1 } } },
        FieldViolation: { fields: { field: text(1), description: text(2) } },
      },
    },
    { keepCase: true },
  )["Details"];
  if (definition === undefined || "format" in definition) throw new Error("there is no such service");
  return { status: methodOf(definition, "Status"), badRequest: methodOf(definition, "BadRequest") };
})();

interface Violation {
  readonly field: string;
  readonly description: string;
}

/** The violations that a failure names. */
const violationsOf = (error: ServiceError): readonly Violation[] => {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const { details } = detailMethods.status.responseDeserialize(bytes as Buffer) as {
    readonly details: readonly { readonly type_url: string; readonly value: Buffer }[];
  };
  const found = details.find(({ type_url }) => type_url === "type.googleapis.com/google.rpc.BadRequest");
  if (found === undefined) return [];
  return (
    detailMethods.badRequest.responseDeserialize(found.value) as { readonly field_violations: readonly Violation[] }
  ).field_violations;
};

const codeOf = (error: unknown): string => {
  const known = grpcClientError(error);
  if (known instanceof Error && "code" in known) return String(known.code);
  throw error;
};

describe("SendEvent", () => {
  test("answers the stored event, which REST shows too", async () => {
    const user_id = newUser();
    const reply = await callUnary(client, sendEvent, { ...good, user_id });
    const event = reply.map("event");
    const id = reply.string("id");
    expect(id).toBe(`purchase-${event.integer("sequence")}`);
    expect(event.fields).toMatchObject({ ...good, user_id, id, subject: "events.purchase" });
    expect(Math.abs(event.integer("received_at") - Date.now())).toBeLessThan(60_000);
    const shown = (await (await fetch(`${server().url}/events/${id}`)).json()) as Record<string, unknown>;
    expect(shown).toMatchObject({ ...good, user_id, id });
    expect(Date.parse(String(shown["received_at"]))).toBe(event.integer("received_at"));
  });

  test("names everything that is wrong", async () => {
    const request = { user_id: "", event_type: "sale", amount: -1, timestamp: "yesterday", idempotency_key: "" };
    const error = await rejection(callUnary(client, sendEvent, request));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.metadata.get("mts-code")).toEqual(["invalid_event"]);
    const violations = violationsOf(error);
    expect(violations.map(({ field }) => field)).toEqual(Object.keys(request));
    expect(error.details).toBe(violations.map(({ description }) => description).join(" "));
    for (const { field, description } of violations.slice(0, 4)) expect(description).toStartWith(`${field} must be `);
    // The same as JSON, for who reads the ErrorInfo alone.
    const known = grpcClientError(error) as { readonly fields: Readonly<Record<string, unknown>> };
    expect(JSON.parse(String(known.fields["errors"]))).toEqual(
      violations.map(({ field, description }) => ({ field, detail: description })),
    );
  });

  test("an empty request is all of it missing but the amount, which is 0", async () => {
    const violations = violationsOf(await rejection(callUnary(client, sendEvent, {})));
    expect(violations.map(({ field }) => field)).toEqual(["user_id", "event_type", "timestamp"]);
  });

  test("a failure that is not about fields names none", async () => {
    const method = methodOf(loadService("minitoolstream.proto", "minitoolstream.IngressService"), "Publish");
    expect(violationsOf(await rejection(callUnary(client, method, { subject: "a b" })))).toEqual([]);
  });

  test("answers the first event under the same key", async () => {
    const request = { ...good, user_id: newUser(), idempotency_key: "grpc-1" };
    const first = await callUnary(client, sendEvent, request);
    const again = await callUnary(client, sendEvent, { ...request, amount: 1 });
    expect(first.has("duplicate")).toBe(false);
    expect(again.fields).toMatchObject({ id: first.string("id"), duplicate: true });
    // The key is that of REST.
    const response = await fetch(`${server().url}/events`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "grpc-1" },
      body: JSON.stringify({ ...good, user_id: "another" }),
    });
    expect(await response.json()).toMatchObject({ id: first.string("id"), duplicate: true });
  });

  test.each([
    [0, "0.00"],
    [0.1, "0.10"],
    [0.1 + 0.2, "0.30"],
    [150.75, "150.75"],
    [1.1, "1.10"],
    [9_999_999_999_999.99, "9999999999999.99"],
  ])("takes %d to the cent", async (amount, exact) => {
    // A minute in which nothing else happens.
    const minute = 60_000 * Math.floor(Date.now() / 60_000 - 100 - users);
    const request = { ...good, user_id: newUser(), amount, timestamp: new Date(minute).toISOString() };
    const reply = await callUnary(client, sendEvent, request);
    const { fields } = reply.map("event");
    expect(fields["amount"] ?? 0).toBe(Number(exact));
    const shown = await (await fetch(`${server().url}/events/${reply.string("id")}`)).text();
    expect(shown).toContain(`"amount":${Number(exact)},`);
  });

  test.each([-1, -0.01, 1.005, 0.001, 1e13, Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE])(
    "refuses %d",
    async (amount) => {
      const error = await rejection(callUnary(client, sendEvent, { ...good, amount }));
      expect(violationsOf(error).map(({ field }) => field)).toEqual(["amount"]);
    },
  );

  test("what is no message is refused", async () => {
    const broken = { ...sendEvent, requestSerialize: () => Buffer.from([0x18, 1]) };
    const error = await rejection(callUnary(client, broken, {}));
    expect([error.code, codeOf(error)]).toEqual([status.INVALID_ARGUMENT, "malformed_body"]);
  });
});

/** Ids of all events of a user, oldest first. */
const eventsOf = async (user: string): Promise<readonly SentEvent[]> => {
  const events: SentEvent[] = [];
  for (let cursor = ""; ; ) {
    const query = new URLSearchParams({ user_id: user, order: "oldest", limit: "1000", ...(cursor && { cursor }) });
    const page = (await (await fetch(`${server().url}/events?${query.toString()}`)).json()) as {
      readonly events: readonly SentEvent[];
      readonly next_cursor: string;
      readonly has_more: boolean;
    };
    events.push(...page.events);
    cursor = page.next_cursor;
    if (!page.has_more) return events;
  }
};

describe("SendEvents", () => {
  test("stores twenty thousand as fast as they come", async () => {
    const user_id = newUser();
    const types = ["purchase", "return", "refund"];
    const events = upTo(20_000).map((index) => ({
      ...good,
      ...{ user_id, amount: index / 100, event_type: types[index % 3] },
    }));
    const reply = await callClientStream(client, sendEvents, events);
    expect(summaryOf(reply)).toMatchObject({ stored: 20_000, duplicates: 0, failed: 0, failures: [] });
    const stored = await eventsOf(user_id);
    const cents = stored.map(({ amount }) => Math.round(amount * 100));
    expect(cents.toSorted((a, b) => a - b)).toEqual(upTo(20_000));
    // In the order of the stream, type by type.
    for (const [place, type] of types.entries()) {
      const ofType = stored.filter(({ event_type }) => event_type === type);
      expect(ofType.map(({ amount }) => Math.round(amount * 100))).toEqual(
        upTo(20_000).filter((index) => index % 3 === place),
      );
    }
  });

  test("an empty stream is nothing", async () => {
    expect(summaryOf(await callClientStream(client, sendEvents, []))).toMatchObject({ stored: 0, failed: 0 });
  });

  test("names what is wrong by its place and stores the others", async () => {
    const user_id = newUser();
    const events = upTo(3000).map((number) => ({ ...good, user_id, amount: number === 1500 ? 1.005 : number }));
    const reply = await callClientStream(client, sendEvents, [
      ...events,
      { ...good, user_id: "", event_type: "", amount: -1 },
      { ...good, user_id, idempotency_key: "" },
    ]);
    const { failures, ...counts } = summaryOf(reply);
    expect(counts).toEqual({ stored: 2999, duplicates: 0, failed: 3 });
    const named = failures as readonly { readonly index: number; readonly code: string; readonly detail: string }[];
    expect(named.map(({ index, code }) => [index, code])).toEqual([
      [1499, "invalid_event"],
      [3000, "invalid_event"],
      [3001, "invalid_event"],
    ]);
    expect(named[0]?.detail).toContain("amount must be");
    // All that is wrong with it.
    for (const field of ["user_id", "event_type", "amount"]) expect(named[1]?.detail).toContain(`${field} must be`);
    expect(named[2]?.detail).toContain("message id");
    expect(await eventsOf(user_id)).toHaveLength(2999);
  });

  test("counts all failures and names the first hundred", async () => {
    const { failures, ...counts } = summaryOf(
      await callClientStream(
        client,
        sendEvents,
        upTo(1000).map(() => ({ ...good, amount: -1 })),
      ),
    );
    expect(counts).toEqual({ stored: 0, duplicates: 0, failed: 1000 });
    expect((failures as readonly { readonly index?: number }[]).map(({ index = 0 }) => index)).toEqual(
      upTo(100).map((number) => number - 1),
    );
  });

  test("repeated keys are stored once, in one stream and over two", async () => {
    const user_id = newUser();
    const events = upTo(500).map((number) => ({ ...good, user_id, amount: number, idempotency_key: `many-${number}` }));
    const first = await callClientStream(client, sendEvents, [...events, ...events]);
    expect(summaryOf(first)).toMatchObject({ stored: 500, duplicates: 500, failed: 0 });
    expect(summaryOf(await callClientStream(client, sendEvents, events))).toMatchObject({ stored: 0, duplicates: 500 });
    expect(await eventsOf(user_id)).toHaveLength(500);
  });

  test("a message that cannot be read ends the call", async () => {
    const broken = { ...sendEvents, requestSerialize: () => Buffer.from([0x18, 1]) };
    const error = await rejection(callClientStream(client, broken, [good]));
    expect([error.code, codeOf(error)]).toEqual([status.INVALID_ARGUMENT, "malformed_body"]);
  });

  test("cancelled in the middle, what was stored stays and the server goes on", async () => {
    const user_id = newUser();
    const call = client.makeClientStreamRequest(
      sendEvents.path,
      sendEvents.requestSerialize,
      sendEvents.responseDeserialize,
      () => undefined,
    );
    const ended = new Promise((resolve) => call.on("status", resolve));
    for (const amount of upTo(5000)) call.write({ ...good, user_id, amount });
    while ((await eventsOf(user_id)).length === 0) await Bun.sleep(1);
    call.cancel();
    expect(await ended).toMatchObject({ code: status.CANCELLED });
    const openCalls = async (): Promise<string | undefined> =>
      /^mts_grpc_open_calls (\d+)$/m.exec(await (await fetch(`${server().url}/metrics`)).text())?.[1];
    while ((await openCalls()) !== "0") await Bun.sleep(1);
    // What was stored is the beginning of the stream.
    const amounts = (await eventsOf(user_id)).map(({ amount }) => amount);
    expect(amounts).toEqual(upTo(amounts.length));
    expect(summaryOf(await callClientStream(client, sendEvents, [good]))).toMatchObject({ stored: 1 });
  });

  test("a client that is faster than the store has to wait", async () => {
    const entry = join(import.meta.dir, "..", "faults", "entry.ts");
    const env = faultEnvironment([{ point: "commit.before", hit: 1, act: "hold" }]);
    await using slow = await startTestServer({ entry, env });
    const connection = await RawH2.open(slow.grpcTarget);
    const events = 60_000;
    const message = sendEvents.requestSerialize({ ...good, user_id: "u".repeat(60) });
    const prefixed = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    // A hundred in each frame, below the least frame size that a server must take.
    const data = frame(type.DATA, 0, 1, Buffer.concat(upTo(100).map(() => prefixed)));
    const payloadBytes = data.length - 9;
    // What the server said at its start, and has given since.
    await connection.until(() => connection.frames.some(({ type: got }) => got === type.WINDOW_UPDATE));
    connection.send(frame(type.HEADERS, 4, 1, callHeaders(sendEvents.path)));
    let frames = 0;
    let given = 0;
    let seen = 0;
    const room = (): number => {
      for (; seen < connection.frames.length; seen++) {
        const got = connection.frames[seen];
        if (got?.type === type.WINDOW_UPDATE && got.streamId === 1) given += got.payload.readUInt32BE(0);
      }
      return 1024 * 1024 + given - frames * payloadBytes;
    };
    let pings = 0;
    const isSent = (): boolean => frames * 100 >= events;
    const pushAll = async (): Promise<void> => {
      while (!isSent() && room() >= payloadBytes) {
        frames++;
        connection.send(data);
      }
      // The answer says that all before it was read.
      pings++;
      connection.send(frame(type.PING, 0, 0, Buffer.alloc(8)));
      const pongs = (): number => connection.frames.filter(({ type: got }) => got === type.PING).length;
      await connection.until(() => pongs() >= pings);
    };
    do await pushAll();
    while (room() >= payloadBytes);
    while (!slow.stderr.includes(heldLine("commit.before"))) await Bun.sleep(1);
    await pushAll();
    expect(isSent()).toBe(false);
    // The window, and what is given back of it until so many wait.
    expect(frames * payloadBytes).toBeLessThan(3 * 1024 * 1024);
    process.kill(slow.pid, "SIGUSR2");
    while (!isSent()) {
      await pushAll();
      if (!isSent()) await connection.until(() => room() >= payloadBytes);
    }
    connection.send(frame(type.DATA, 1, 1));
    const answer = (): Buffer =>
      Buffer.concat(
        connection.frames
          .filter(({ type: got, streamId }) => got === type.DATA && streamId === 1)
          .map(({ payload }) => payload),
      );
    await connection.until(() => answer().length > 5 && answer().length === 5 + answer().readUInt32BE(1));
    const summary = new WireMap(sendEvents.responseDeserialize(answer().subarray(5)), "summary");
    expect(summaryOf(summary)).toMatchObject({ stored: events, failed: 0 });
    connection.close();
  });
});

describe("StreamEvents", () => {
  /** Resolves when the client knows that it is in. */
  const follow = async (request: object): Promise<GrpcStream> => {
    const { path, requestSerialize, responseDeserialize } = streamEvents;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    const stream = new GrpcStream(call);
    await new Promise((resolve, reject) => {
      call.once("metadata", resolve);
      call.once("error", reject);
    });
    return stream;
  };
  const send = (event: Partial<SentEvent>): Promise<WireMap> => callUnary(client, sendEvent, { ...good, ...event });
  const amountsOf = (stream: GrpcStream): readonly number[] =>
    stream.received.map(({ fields }) => Number(fields["amount"] ?? 0));

  test("tells of what comes, of the types and users that are asked for", async () => {
    const ann = newUser();
    const bob = newUser();
    await send({ user_id: ann, amount: 1000 });
    const [all, refunds, anns, both] = await Promise.all([
      follow({}),
      follow({ event_type: "refund" }),
      follow({ user_id: ann }),
      follow({ user_id: ann, event_type: "refund" }),
    ]);
    await send({ user_id: ann, amount: 1 });
    await send({ user_id: bob, amount: 2 });
    await send({ user_id: bob, amount: 3, event_type: "refund" });
    const last = await send({ user_id: ann, amount: 4, event_type: "refund" });
    await Promise.all([all.count(4), refunds.count(2), anns.count(2), both.count(1)]);
    expect(amountsOf(all).toSorted()).toEqual([1, 2, 3, 4]);
    expect(amountsOf(refunds)).toEqual([3, 4]);
    expect(amountsOf(anns).toSorted()).toEqual([1, 4]);
    expect(amountsOf(both)).toEqual([4]);
    const { cursor, ...event } = both.received[0]?.fields ?? {};
    expect(cursor).toBeString();
    const { cursor: none, ...answered } = last.map("event").fields;
    expect(none ?? "").toBe("");
    expect(event).toEqual(answered);
    for (const stream of [all, refunds, anns, both]) stream.cancel();
  });

  test("goes on from every cursor without gap or repeat", async () => {
    const user_id = newUser();
    const first = await follow({ user_id });
    const events = upTo(30).map((amount) => ({
      ...{ user_id, amount },
      event_type: ["purchase", "return", "refund"][amount % 3] ?? "refund",
    }));
    for (const event of events) await send(event);
    await first.count(30);
    expect(amountsOf(first).toSorted((a, b) => a - b)).toEqual(upTo(30));
    for (const place of [0, 7, 18, 29]) {
      const again = await follow({ user_id, cursor: first.received[place]?.string("cursor") });
      await again.count(29 - place);
      const before = amountsOf(first).slice(0, place + 1);
      expect([...before, ...amountsOf(again)].toSorted((a, b) => a - b)).toEqual(upTo(30));
      again.cancel();
    }
    // It is live behind what was there.
    const last = await follow({ user_id, cursor: first.received[29]?.string("cursor") });
    await send({ user_id, amount: 31 });
    await last.count(1);
    expect(amountsOf(last)).toEqual([31]);
    last.cancel();
    first.cancel();
  });

  test("goes on from a page of REST", async () => {
    const user_id = newUser();
    for (const amount of upTo(5)) await send({ user_id, amount });
    let cursor = "";
    for (let more = true; more; ) {
      const query = new URLSearchParams({ order: "oldest", limit: "1000", ...(cursor && { cursor }) });
      const page = (await (await fetch(`${server().url}/events?${query.toString()}`)).json()) as {
        readonly next_cursor: string;
        readonly has_more: boolean;
      };
      cursor = page.next_cursor;
      more = page.has_more;
    }
    await send({ user_id, amount: 6 });
    const stream = await follow({ cursor });
    await stream.count(1);
    expect(amountsOf(stream)).toEqual([6]);
    stream.cancel();
  });

  test("waits for a client that does not read, and leaves nothing out", async () => {
    const user_id = `${"slow".repeat(50)}${newUser()}`;
    const stream = await follow({ user_id });
    stream.pause();
    const count = 20_000;
    const events = upTo(count).map((amount) => ({ ...good, user_id, amount }));
    expect(summaryOf(await callClientStream(client, sendEvents, events))).toMatchObject({ stored: count });
    stream.resume();
    await stream.count(count);
    expect(amountsOf(stream)).toEqual(upTo(count));
    stream.cancel();
  });

  test.each([
    ["another type", { event_type: "sale" }],
    ["a user with a control character", { user_id: "\u0000" }],
    ["a user that is too long", { user_id: "u".repeat(256) }],
    ["a cursor that is none", { cursor: "x" }],
  ])("refuses %s", async (_, request) => {
    const stream = callStream(client, streamEvents, request);
    const { code, metadata } = await stream.ended;
    expect([code, metadata.get("mts-code")]).toEqual([status.INVALID_ARGUMENT, ["invalid_parameter"]]);
    expect(stream.received).toEqual([]);
  });

  test("a stop of the server ends it with UNAVAILABLE", async () => {
    await using stopping = await startTestServer();
    const other = connectGrpc(stopping.grpcTarget);
    const stream = callStream(other, streamEvents, {});
    await callUnary(other, sendEvent, good);
    await stopping.stop();
    expect(await stream.ended).toMatchObject({ code: status.UNAVAILABLE });
    other.close();
  });
});

/** A program that ended. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = async (...words: readonly string[]): Promise<Ended> => {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  guard(child.pid);
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  release(child.pid);
  return { code, stdout, stderr };
};

describe("clients that know nothing but the proto", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await grpcClientsFolder();
  }, 300_000);

  const grpcurl = (...words: readonly string[]): Promise<Ended> =>
    run(join(folder, "bin", "grpcurl"), "-plaintext", ...words);

  test("grpcurl finds the service by reflection and sends JSON", async () => {
    const { grpcTarget } = server();
    expect((await grpcurl(grpcTarget, "list")).stdout.split("\n")).toContain("eventhub.EventHub");
    const { stdout } = await grpcurl(grpcTarget, "describe", "eventhub.EventHub");
    expect(stdout).toContain("rpc SendEvents ( stream .eventhub.SendEventRequest )");
    expect(stdout).toContain("returns ( stream .eventhub.Event )");
    const sent = await grpcurl("-d", JSON.stringify(good), grpcTarget, "eventhub.EventHub/SendEvent");
    expect(JSON.parse(sent.stdout)).toMatchObject({
      event: { userId: good.user_id, amount: good.amount, timestamp: good.timestamp, subject: "events.purchase" },
    });
    const many = `${JSON.stringify(good)}${JSON.stringify({ ...good, amount: 1.005 })}`;
    const summary = await grpcurl("-d", many, grpcTarget, "eventhub.EventHub/SendEvents");
    expect(JSON.parse(summary.stdout)).toMatchObject({ stored: "1", failed: "1", failures: [{ index: "1" }] });
    const wrong = await grpcurl("-d", "{}", grpcTarget, "eventhub.EventHub/SendEvent");
    expect(wrong.code).toBe(64 + status.INVALID_ARGUMENT);
    for (const field of ["user_id", "event_type", "timestamp"]) expect(wrong.stderr).toContain(field);
  });

  test("health knows it", async () => {
    const words = ["-d", JSON.stringify({ service: "eventhub.EventHub" }), server().grpcTarget];
    const { stdout } = await grpcurl(...words, "grpc.health.v1.Health/Check");
    expect(JSON.parse(stdout)).toEqual({ status: "SERVING" });
  });

  test("Python sends one, a stream, and follows", async () => {
    const stubs = await mkdtemp(join(tmpdir(), "mts-test-"));
    const python = join(folder, "venv", "bin", "python");
    const protos = join(import.meta.dir, "..", "..", "transport", "grpc", "proto");
    const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
    const made = await run(python, "-m", "grpc_tools.protoc", "-I", protos, ...outputs, "event_hub.proto");
    expect([made.code, made.stderr]).toEqual([0, ""]);
    const program = join(import.meta.dir, "python", "event_hub.py");
    const { code, stdout, stderr } = await run(python, program, stubs, server().grpcTarget);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({
      sent: { event_type: "purchase", amount: 150.75, timestamp: "2024-01-15T10:30:00Z", duplicate: false },
      repeated: { same_id: true, duplicate: true },
      summary: { stored: 1000, duplicates: 0, failed: 1, failures: [[1000, "invalid_event"]] },
      followed: { amounts: 1001, in_order: true, resumed: 500 },
      refused: { code: "INVALID_ARGUMENT", reason: "invalid_event", fields: ["user_id", "event_type", "timestamp"] },
    });
    await rm(stubs, { recursive: true });
  });
});

describe("tokens", () => {
  const auth = useAuthServer();
  let guarded: Client;
  beforeAll(() => {
    guarded = connectGrpc(auth().server.grpcTarget);
  });
  afterAll(() => guarded.close());

  const types = ["purchase", "return", "refund"];
  const all: Grants = { client_id: "all", allowed_subjects: ["events.*"], permissions: ["*"] };
  const purchases: Grants = { client_id: "some", allowed_subjects: ["events.purchase"], permissions: ["*"] };
  const only = (permission: string): Grants => ({ ...all, permissions: [permission] });

  const metadataOf = (grants: Grants | undefined, changed = {}): Metadata => {
    const metadata = new Metadata();
    if (grants !== undefined) metadata.set("authorization", `Bearer ${auth().issuer.token(grants, changed)}`);
    return metadata;
  };
  const sent = async (grants: Grants | undefined, event_type = "purchase"): Promise<string> => {
    try {
      await callUnary(guarded, sendEvent, { ...good, event_type }, metadataOf(grants));
      return "fine";
    } catch (error) {
      return codeOf(error);
    }
  };
  /** How it ends, or that it runs. */
  const followed = async (grants: Grants | undefined, event_type = ""): Promise<string> => {
    const { path, requestSerialize, responseDeserialize } = streamEvents;
    const request = { event_type };
    const call = guarded.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadataOf(grants),
    );
    const stream = new GrpcStream(call);
    const running = new Promise<string>((resolve) => call.once("metadata", () => resolve("fine")));
    const ended = stream.ended.then(({ metadata }) => String(metadata.get("mts-code")[0]));
    // A refusal comes as headers alone, which are its end.
    const outcome = await Promise.race([ended, running.then((fine) => Bun.sleep(0).then(() => fine))]);
    stream.cancel();
    return outcome;
  };

  test("nobody is let in without one", async () => {
    expect(await sent(undefined)).toBe("unauthenticated");
    expect(await followed(undefined)).toBe("unauthenticated");
    expect(codeOf(await rejection(callClientStream(guarded, sendEvents, [good])))).toBe("unauthenticated");
  });

  test("sending needs publish on the subject of the type, event by event", async () => {
    expect(await sent(all)).toBe("fine");
    expect(await sent(only("publish"))).toBe("fine");
    expect(await sent(only("subscribe"))).toBe("permission_denied");
    expect(await sent(purchases)).toBe("fine");
    expect(await sent(purchases, "refund")).toBe("permission_denied");
    const events = types.map((event_type) => ({ ...good, event_type }));
    const { failures, ...counts } = summaryOf(
      await callClientStream(guarded, sendEvents, events, metadataOf(purchases)),
    );
    expect(counts).toEqual({ stored: 1, duplicates: 0, failed: 2 });
    expect(failures).toMatchObject([
      { index: 1, code: "permission_denied" },
      { index: 2, code: "permission_denied" },
    ]);
  });

  test("following needs subscribe on what is asked for", async () => {
    expect(await followed(all)).toBe("fine");
    expect(await followed(only("subscribe"))).toBe("fine");
    expect(await followed(only("publish"))).toBe("permission_denied");
    expect(await followed(purchases)).toBe("permission_denied");
    expect(await followed(purchases, "refund")).toBe("permission_denied");
    expect(await followed(purchases, "purchase")).toBe("fine");
  });

  test("a stream ends when its token does", async () => {
    const expiring = metadataOf(all, { exp: Math.floor(Date.now() / 1000) + 2 });
    const { metadata, code } = await callStream(guarded, streamEvents, {}, expiring).ended;
    expect([code, metadata.get("mts-code")]).toEqual([status.UNAUTHENTICATED, ["token_expired"]]);
  });
});
