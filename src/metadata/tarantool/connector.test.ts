/**
 * The functions of the first generation, called with the official Python connector: their shapes, that what they
 * publish is read and told here and the other way round, and what their caller may not do.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { StreamError } from "../../core/errors.ts";
import { HttpClient } from "../../testing/http-client.ts";
import { installedPath } from "../../testing/installed.ts";
import { startTestServer } from "../../testing/server.ts";
import { startTarantool, type TestTarantool } from "../../testing/tarantool.ts";
import { WsClient } from "../../testing/ws-client.ts";
import { ack, configOf, digestOf, entryOf, everything, nameOf, publish, refusalOf, subjectOf } from "../cases/kit.ts";
import { type Measure, openTarantoolMetadata, type TarantoolMetadata } from "./index.ts";

/** Makes calls and prints what they answer, one JSON value a line; bytes as hex, refusals as their number. */
const script = `
import json, sys, tarantool
port, user, password, calls = json.loads(sys.argv[1])
connection = tarantool.Connection('127.0.0.1', port, user=user, password=password)
def plain(value):
    return value.hex() if isinstance(value, bytes) else str(value)
for name, arguments in calls:
    try:
        if name == 'eval': answer = connection.eval(*arguments).data
        elif name == 'select': answer = connection.select(*arguments).data
        elif name == 'insert': answer = connection.insert(*arguments).data
        else: answer = connection.call(name, tuple(arguments)).data
        print(json.dumps(answer, default=plain))
    except tarantool.error.DatabaseError as error:
        print(json.dumps({'refused': error.args[0]}))
`;

type Call = readonly [string, ...unknown[]];

let tarantool: TestTarantool;
let store: TarantoolMetadata;
let connector: string;

/** What `measure` was asked for. */
const asked: string[] = [];
const objects = new Map<string, number>([["minio/orders/1.json", 42]]);
const measure: Measure = async (object) => {
  asked.push(object);
  const length = objects.get(object);
  if (object === "broken") throw new StreamError("unavailable", "The bodies cannot be asked.");
  return length === undefined ? null : { length, sha256: digestOf(length) };
};

beforeAll(async () => {
  connector = await installedPath("tarantool-connector", "tarantool_connector");
  tarantool = await startTarantool();
  store = await openTarantoolMetadata({ ...tarantool.address, dedupeWindowMs: 1000, measure });
}, 120_000);

afterAll(async () => {
  await store.close();
  await tarantool.stop();
});

const callAs = async (user: string, password: string, calls: readonly Call[]): Promise<unknown[]> => {
  const request = [tarantool.port, user, password, calls.map(([name, ...rest]) => [name, rest])];
  const child = Bun.spawn([connector, "-c", script, JSON.stringify(request)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
};

const call = async (...calls: readonly Call[]): Promise<unknown[]> =>
  callAs(tarantool.address.user, tarantool.address.password, calls);

const published = (sequence: number) => [{ sequence, status_code: 0, error_message: null }];

describe("old clients", () => {
  test("publish, fetch, peek, acknowledge, count", async () => {
    const from = Math.floor(Date.now() / 1000);
    const answers = await call(
      ["grpc_get_last_sequence", "shapes"],
      ["get_latest_sequence_for_subject", "shapes"],
      ["grpc_publish", "shapes", "minio/1", { "content-type": "text/plain", Größe: "ü" }],
      ["grpc_publish", "shapes", "minio/2", {}],
      ["grpc_publish", "shapes", "minio/3"],
      ["grpc_get_last_sequence", "shapes"],
      ["get_latest_sequence_for_subject", "shapes"],
      ["grpc_peek", "shapes", "c", 1],
      ["grpc_fetch", "shapes", "c", 2, false],
      ["grpc_fetch", "shapes", "c", 2, false],
      ["grpc_ack", "c", "shapes", 2],
      ["grpc_ack", "c", "shapes", 1],
      ["grpc_ack", "c", "shapes", 4],
      ["check_new_messages", "shapes", "c"],
      ["get_new_messages_count", "shapes", "c", 1],
      ["get_subject_message_count", "shapes"],
      ["grpc_fetch", "shapes", "c", 0, true],
      ["grpc_fetch", "shapes", "c", 10],
      ["grpc_ack", "new", "shapes", 3],
      ["check_new_messages", "shapes", "new"],
      ["grpc_fetch", "nobody", "c", 10, false],
    );
    const message = (sequence: number, headers: Record<string, string>): unknown[] => [
      sequence,
      headers,
      `minio/${sequence}`,
      "shapes",
      expect.any(Number),
      0,
      null,
      null,
      expect.any(Number),
    ];
    const [one, two, three] = [
      message(1, { "content-type": "text/plain", Größe: "ü" }),
      message(2, {}),
      message(3, {}),
    ];
    expect(answers).toEqual([
      [{ last_sequence: 0 }],
      [0],
      published(1),
      published(2),
      published(3),
      [{ last_sequence: 3 }],
      [3],
      [[one]],
      [[one, two]],
      [[one, two]],
      [true],
      [true],
      [false],
      [{ has_new: true, latest_sequence: 3, consumer_position: 2, new_count: 1 }],
      [2],
      [3],
      [[three]],
      [[]],
      [true],
      [{ has_new: false, latest_sequence: 3, consumer_position: 3, new_count: 0 }],
      [[]],
    ]);
    const [[first]] = answers[7] as [[number[]]];
    const [createdAt = 0, timestampMs = 0] = [first[4], first[8]];
    expect(createdAt).toBeGreaterThanOrEqual(from);
    expect(Math.floor(timestampMs / 1000)).toBe(createdAt);
  });

  test("failures are told as they always were", async () => {
    const [empty, wrong, headers, ...others] = await call(
      ["grpc_publish", "", "object", {}],
      ["grpc_publish", "a b", "object", {}],
      ["grpc_publish", "a", "object", "text"],
      ["grpc_fetch", "", "c", 1, false],
      ["grpc_fetch", "a", "", 1, false],
      ["grpc_ack", "c", "a", -1],
      ["grpc_ack", "c", "a", 2 ** 60],
    );
    const failed = [{ sequence: 0, status_code: 1, error_message: expect.any(String) }];
    expect([empty, wrong, headers]).toEqual([failed, failed, failed]);
    expect(empty).toMatchObject([{ error_message: "subject cannot be empty" }]);
    expect(others).toEqual([{ refused: 10008 }, { refused: 10009 }, { refused: 10007 }, { refused: 10007 }]);
  });

  test("what they publish is told and read here, what is published here they fetch", async () => {
    const subject = subjectOf("both.ways");
    const { position } = await store.changes.now();
    const waiting = store.changes.next(position, 60_000);
    await call(["grpc_publish", subject, "minio/orders/1.json", { a: "b" }]);
    expect((await waiting).moved).toEqual([{ subject, first: 1, last: 1 }]);
    expect(await store.heads([subject])).toEqual([{ firstSequence: 1, lastSequence: 1 }]);
    await store.commit([
      entryOf(subject, { object: "segment/1", offset: 5, length: 7, sha256: digestOf(9), headers: { c: "d" } }),
    ]);
    const [fetched] = await call(["grpc_fetch", subject, "c", 10, false]);
    const digest = Buffer.from(digestOf(9)).toString("hex");
    const time = expect.any(Number) as number;
    expect(fetched).toEqual([
      [
        [1, { a: "b" }, "minio/orders/1.json", subject, time, 0, null, null, time],
        [2, { c: "d" }, "segment/1", subject, time, 5, 7, digest, time],
      ],
    ]);
  });

  test("an acknowledgement here is a position there, and the other way round", async () => {
    const subject = subjectOf("orders.eu");
    await publish(store, subject, 5);
    await store.putConsumer(subject, nameOf("worker"), configOf());
    await ack(store, 2);
    const { position } = await store.changes.now();
    const [checked, acked] = await call(["check_new_messages", subject, "worker"], ["grpc_ack", "worker", subject, 4]);
    expect(checked).toMatchObject([{ consumer_position: 2, new_count: 3 }]);
    expect(acked).toEqual([true]);
    expect(await store.consumer(subject, nameOf("worker"))).toMatchObject({ ackedThrough: 4 });
    expect((await store.changes.next(position, 60_000)).consumers).toEqual([
      { subject, name: nameOf("worker"), deleted: false },
    ]);
  });
});

describe("old clients beside a server", () => {
  test("what they publish is pushed and read, and what the server publishes they fetch", async () => {
    await using server = await startTestServer({ env: { MTS_METADATA_URL: tarantool.url } });
    const http = new HttpClient(server.url);
    const ws = await WsClient.connect(server.wsUrl);
    // Large enough for an object of its own, whose name an old client then publishes again.
    const body = new Uint8Array(300_000).fill(7);
    await http.publish({ subject: "through.new", body, headers: { kind: "large" } });
    const [fetched] = (await call(["grpc_fetch", "through.new", "c", 10, false])) as [[[[number, object, string]]]];
    const [sequence, headers, object] = fetched[0][0];
    expect(sequence).toBe(1);
    expect(headers).toMatchObject({ kind: "large" });

    const subscription = await ws.subscribe("through.*");
    const longPoll = http.read("through.old", { from: 1, waitMs: 30_000 });
    const [receipt] = await call(["grpc_publish", "through.old", object, { from: "python" }]);
    expect(receipt).toEqual(published(1));
    const [pushed] = await subscription.count(1);
    expect(pushed).toMatchObject({ subject: "through.old", sequence: 1, headers: { from: "python" } });
    expect(pushed?.body).toEqual(body);
    expect((await longPoll).messages.map((message) => message.sequence)).toEqual([1]);
    expect(await http.message("through.old", 1)).toEqual(body);
    await ws.close();
  });

  test("an object that is not there is the loss of its own message only", async () => {
    await using server = await startTestServer({ env: { MTS_METADATA_URL: tarantool.url } });
    const http = new HttpClient(server.url);
    await call(
      ["grpc_publish", "through.lost", "s/nowhere", {}],
      ["grpc_publish", "through.lost", "../../etc/passwd", {}],
    );
    await http.publish({ subject: "through.lost", body: "there" });
    for (const sequence of [1, 2]) {
      const refusal: unknown = await http.message("through.lost", sequence).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: "data_loss" });
    }
    expect(Buffer.from(await http.message("through.lost", 3)).toString()).toBe("there");
  });
});

describe("messages of which only the object's name is known", () => {
  test("are measured once, when they are first read, and keep what was found", async () => {
    const subject = subjectOf("measured");
    await call(["grpc_publish", subject, "minio/orders/1.json", { a: "b" }], ["grpc_publish", subject, "gone", {}]);
    await publish(store, subject, 1, { length: 10 });
    expect(await store.subject(subject)).toMatchObject({ bytes: 10, messages: 3 });
    asked.length = 0;
    const { envelopes } = await store.range(subject, 1, everything);
    expect(envelopes[0]).toMatchObject({
      sequence: 1,
      headers: { a: "b" },
      body: { object: "minio/orders/1.json", offset: 0, length: 42, sha256: digestOf(42) },
    });
    // No bytes have this digest, so that a read of the body tells of the loss.
    expect(envelopes[1]?.body).toEqual({ object: "gone", offset: 0, length: 0, sha256: new Uint8Array(32) });
    expect(asked).toEqual(["minio/orders/1.json", "gone"]);
    asked.length = 0;
    const consumer = nameOf("c");
    const page = await store.pull({ subject, consumer, ...everything, autoAck: false, create: true });
    expect(page.envelopes.map((each) => each.body.length)).toEqual([42, 0, 10]);
    expect(asked).toEqual(["gone"]);
    expect(await store.subject(subject)).toMatchObject({ bytes: 52 });
    const [fetched] = await call(["grpc_fetch", subject, "c", 1, false]);
    const digest = Buffer.from(digestOf(42)).toString("hex");
    const time = expect.any(Number) as number;
    expect(fetched).toEqual([[[1, { a: "b" }, "minio/orders/1.json", subject, time, 0, 42, digest, time]]]);
    await store.purge(subject, 2);
    expect(await store.subject(subject)).toMatchObject({ bytes: 10, messages: 1 });
    await store.purge(subject, 3);
    expect(await store.subject(subject)).toMatchObject({ bytes: 0, messages: 0 });
  });

  test("a read fails as long as nobody can measure", async () => {
    const subject = subjectOf("unmeasurable");
    await call(["grpc_publish", subject, "broken", {}]);
    expect(await refusalOf(store.range(subject, 1, everything))).toBe("unavailable");
  });
});

describe("rights", () => {
  const denied = { refused: 42 };

  test("the user may call what is listed and nothing else", async () => {
    const answers = await call(
      ["eval", "return 1"],
      ["box.info"],
      ["os.exit"],
      ["box.schema.user.passwd", "x"],
      ["mts_test_reset"],
      ["select", 272],
      ["select", 304],
      ["select", 513],
      ["select", 514],
      ["insert", 514, [1]],
      ["get_subject_message_count", "shapes"],
    );
    expect(answers).toEqual([...Array.from({ length: 10 }, () => denied), [3]]);
  });

  test("guest may not even come in", async () => {
    expect(await call(["get_subject_message_count", "shapes"])).toEqual([[3]]);
    const guest = callAs("", "", [["get_subject_message_count", "shapes"]]);
    expect(await guest.then(String, () => "refused")).toBe("refused");
  });

  test("the hooks of tests are gone with a start without them", async () => {
    await using other = await startTarantool({ env: {} });
    await other.restart("SIGTERM", { MTS_TEST_CLOCK: "1" });
    await other.restart("SIGTERM");
    const { user, password } = other.address;
    const request = [other.port, user, password, [["mts_test_reset", []]]];
    const child = Bun.spawn([connector, "-c", script, JSON.stringify(request)], { stdout: "pipe" });
    expect(await new Response(child.stdout).text()).toContain('"refused"');
  });
});
