/**
 * Real requests, one of each kind and with every field, from which the fuzz is bred.
 * @module
 */
import type { SeededRandom } from "../../faults/random.ts";

/** One frame as a map. */
export type Fields = Readonly<Record<string, unknown>>;

/** One HTTP request. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly form?: "json" | "msgpack" | "ndjson" | "bytes";
}

/** Few enough to meet again, so that consumers, leases and duplicates happen. */
const subjects = ["fuzz.a", "fuzz.b", "fuzz.c.d", "fuzz.c.e", "fuzz.é.ü", "fuzz.-:@%+=~_/", "fuzz.x.y.z.1.2.3"];
const filters = ["fuzz.a", "fuzz.*", "fuzz.>", "fuzz.*.d", "*.b", "fuzz.x.>"];
const starts = [1, 2, "first", "new", "last", "10m", "1h", "2026-01-01T00:00:00Z", 9_007_199_254_740_991];
const consumers = ["c1", "c2", "worker.é"];

const times: readonly Fields[] = [
  { delay_ms: 5 },
  { deliver_at: 1_700_000_000_000 },
  { deliver_at: "2026-01-01T00:00:00Z" },
];
const deliverForms = ["body", "decoded", "pointer"];
/** Of an upload that nobody opened. */
const claim = { length: 5, sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" };

const pick = <T>(random: SeededRandom, values: readonly T[]): T => {
  const value = values[random.integer(0, values.length - 1)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
};

const body = (random: SeededRandom): Uint8Array => {
  const length = random.integer(0, 40) === 0 ? random.integer(0, 70_000) : random.integer(0, 200);
  return new Uint8Array(length).fill(random.integer(0, 255));
};

const draft = (random: SeededRandom, json: boolean): Fields => {
  const bytes = body(random);
  const data = !json
    ? { data: bytes }
    : random.integer(0, 1) === 0
      ? { data: "text é" }
      : { data_base64: base64(bytes) };
  return {
    subject: pick(random, subjects),
    ...data,
    ...(random.integer(0, 2) === 0 ? { headers: { a: "1", "content-type": "text/plain", é: "ü" } } : {}),
    ...(random.integer(0, 3) === 0 ? { message_id: `m${random.integer(0, 1000)}` } : {}),
    ...(random.integer(0, 5) === 0 ? { expected_last_sequence: random.integer(0, 100) } : {}),
    ...(random.integer(0, 5) === 0 ? { ttl_ms: random.integer(1, 1000) } : {}),
    ...(random.integer(0, 7) === 0 ? pick(random, times) : {}),
  };
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

const id = (random: SeededRandom): unknown =>
  random.integer(0, 3) === 0 ? `r${random.integer(0, 99)}` : random.integer(0, 100_000);

/** A frame as an honest client sends it. */
export const realFrame = (random: SeededRandom, json: boolean): Fields => {
  const subject = pick(random, subjects);
  const consumer = pick(random, consumers);
  switch (random.integer(0, 11)) {
    case 0:
    case 1:
    case 2:
      return { op: "publish", id: id(random), ...draft(random, json) };
    case 3: {
      const messages = Array.from({ length: random.integer(0, 6) }, () => draft(random, json));
      return { op: "publish_batch", id: id(random), messages };
    }
    case 4:
      return {
        op: "subscribe",
        id: id(random),
        filter: pick(random, filters),
        from: pick(random, starts),
        mode: pick(random, ["messages", "notify"]),
        credit: pick(random, [1, 10, 100]),
      };
    case 5:
      return { op: "subscribe", id: id(random), filter: subject, consumer, credit: 5 };
    case 6:
      return { op: "credit", sid: random.integer(1, 20), messages: random.integer(1, 50) };
    case 7:
      return {
        op: "fetch",
        id: id(random),
        subject,
        from: pick(random, starts),
        limit: 10,
        max_bytes: 10_000,
        wait_ms: 5,
      };
    case 8:
      return {
        op: "fetch",
        id: id(random),
        subject,
        consumer,
        limit: 10,
        wait_ms: 0,
        auto_ack: random.integer(0, 1) === 0,
      };
    case 9:
      return random.integer(0, 1) === 0
        ? { op: "ack", id: id(random), subject, consumer, sequence: random.integer(1, 500) }
        : { op: "ack", id: id(random), subject, consumer, sequences: [random.integer(1, 500), random.integer(1, 500)] };
    case 10:
      return { op: "nack", id: id(random), subject, consumer, sequences: [random.integer(1, 500)], delay_ms: 10 };
    default:
      return random.integer(0, 1) === 0
        ? { op: "unsubscribe", id: id(random), sid: random.integer(1, 20) }
        : { op: "ping", id: id(random) };
  }
};

const accept = [
  "application/json",
  "application/msgpack",
  "application/x-ndjson",
  "*/*",
  "text/plain;q=0.1, */*;q=0.01",
];

/** A request as an honest client sends it. */
export const realRequest = (random: SeededRandom): Request => {
  const subject = encodeURIComponent(pick(random, subjects));
  const consumer = encodeURIComponent(pick(random, consumers));
  const messages = `/v1/subjects/${subject}/messages`;
  const named = `/v1/subjects/${subject}/consumers/${consumer}`;
  const headers = { accept: pick(random, accept) };
  const json = { ...headers, "content-type": "application/json" };
  const sequence = random.integer(1, 300);
  switch (random.integer(0, 19)) {
    case 0: {
      const extra = {
        "x-meta-a": "1",
        "idempotency-key": `k${random.integer(0, 500)}`,
        "expected-last-sequence": "7",
        "message-ttl": "1s",
        delay: "5ms",
        "deliver-at": "2026-01-01T00:00:00Z",
        "content-encoding": "gzip, br",
      };
      const [key, value] = pick(random, Object.entries(extra));
      return {
        method: "POST",
        path: messages,
        headers: { ...headers, [key]: value },
        body: body(random),
        form: "bytes",
      };
    }
    case 1:
    case 2: {
      const form = pick(random, ["json", "msgpack", "ndjson"] as const);
      const drafts = Array.from({ length: random.integer(0, 5) }, () => draft(random, form !== "msgpack"));
      const type = `application/${form === "ndjson" ? "x-ndjson" : form}`;
      const value = form === "ndjson" ? drafts : { messages: drafts };
      return { method: "POST", path: "/v1/messages", headers: { ...headers, "content-type": type }, body: value, form };
    }
    case 3: {
      const from = encodeURIComponent(String(pick(random, starts)));
      const deliver = pick(random, deliverForms);
      const query = `from=${from}&limit=5&max_bytes=1000&wait_ms=0&deliver=${deliver}`;
      return { method: "GET", path: `${messages}?${query}`, headers };
    }
    case 4:
      return { method: "GET", path: `${messages}/${sequence}`, headers: { ...headers, range: "bytes=1-5" } };
    case 5:
      return { method: "HEAD", path: `${messages}/${sequence}`, headers: { ...headers, "if-none-match": '"abc"' } };
    case 6:
      return { method: "GET", path: "/v1/subjects?filter=fuzz.%3E&after=fuzz.a&limit=3", headers };
    case 7:
      return { method: "DELETE", path: `${messages}?through=${random.integer(0, 20)}`, headers };
    case 8: {
      const config = {
        start: "first",
        ack: pick(random, ["all", "explicit"]),
        ack_wait_ms: 1000,
        max_deliver: 3,
        max_ack_pending: 10,
      };
      return { method: "PUT", path: named, headers: json, body: config, form: "json" };
    }
    case 9:
      return { method: pick(random, ["GET", "DELETE"]), path: named, headers };
    case 10:
      return {
        method: "POST",
        path: `${named}/fetch`,
        headers: json,
        body: { limit: 5, max_bytes: 1000, wait_ms: 0, auto_ack: true },
        form: "json",
      };
    case 11:
      return { method: "POST", path: `${named}/ack`, headers: json, body: { sequence }, form: "json" };
    case 12:
      return {
        method: "POST",
        path: `${named}/nack`,
        headers: json,
        body: { sequences: [sequence], delay_ms: 5, error: "é" },
        form: "json",
      };
    case 13:
      return { method: "POST", path: `${messages}?wait=acked&wait_ms=5`, headers, body: body(random), form: "bytes" };
    case 14:
      return {
        method: "GET",
        path: `${messages}/${sequence}${pick(random, ["/receipts", "?deliver=pointer", "?deliver=decoded"])}`,
        headers: { ...headers, "accept-encoding": pick(random, ["identity", "gzip;q=0", "br, *;q=0.1"]) },
      };
    case 15:
      return {
        method: "POST",
        path: pick(random, [`/v1/subjects/${subject}/uploads`, `/v1/subjects/${subject}/uploads/complete`]),
        headers: json,
        body: random.integer(0, 1) === 0 ? { ...claim, parts: true } : { ...claim, key: "u/a/b" },
        form: "json",
      };
    case 16:
      return {
        method: "POST",
        path: messages,
        headers: { ...headers, "content-type": "application/vnd.s3-pointer+json" },
        body: { format: "s3-pointer-v1", key: "u/a/b", ...claim, content_type: "text/plain" },
        form: "json",
      };
    case 17: {
      const config = { ack: "explicit", ack_wait_ms: 100, max_deliver: 1, dead_letter: "fuzz.dead" };
      return random.integer(0, 1) === 0
        ? { method: "PUT", path: named, headers: json, body: config, form: "json" }
        : { method: "POST", path: `${named}/redrive`, headers: json, body: { limit: 10, rate: 1e6 }, form: "json" };
    }
    case 18:
      return { method: pick(random, ["GET", "PUT"]), path: "/v1/bodies/WyJyZWFkIl0.AAAA", headers, body: body(random) };
    default:
      return {
        method: pick(random, ["GET", "HEAD", "OPTIONS", "PATCH"]),
        path: pick(random, [
          "/healthz",
          "/readyz",
          "/metrics",
          "/swagger/json",
          `/v1/subjects/${subject}`,
          `${named}/peek?limit=3`,
        ]),
        headers,
      };
  }
};
