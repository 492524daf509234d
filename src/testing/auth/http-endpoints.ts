/**
 * Every endpoint that wants to know who calls, as data: its request for one subject, and the verb that it stands for.
 * @module
 */
import type { Verb } from "./callers.ts";

/** One request. */
export interface Endpoint {
  readonly verb: Verb;
  readonly method: string;
  /** Behind the origin; the subject in it is encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const json = (body: unknown): Pick<Endpoint, "headers" | "body"> => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

const claim = { length: 5, sha256: "00".repeat(32) };
const pointerType = "application/vnd.s3-pointer+json";
const pointer = JSON.stringify({ format: "s3-pointer-v1", key: "k", ...claim });

/**
 * The endpoints.
 * @param encoded the subject as it stands in a path; `subject` is what it means, for bodies
 */
export const httpEndpoints = (subject: string, encoded = encodeURIComponent(subject)): readonly Endpoint[] => {
  const root = `/v1/subjects/${encoded}`;
  const messages = `${root}/messages`;
  const consumer = `${root}/consumers/worker`;
  const policy = `/v1/policies/${encoded}`;
  return [
    { verb: "publish", method: "POST", path: messages, body: "x" },
    { verb: "publish", method: "POST", path: messages, body: "x".repeat(300 * 1024) },
    { verb: "publish", method: "POST", path: "/v1/messages", ...json({ messages: [{ subject, data: "x" }] }) },
    { verb: "publish", method: "POST", path: messages, headers: { delay: "1h" }, body: "x" },
    { verb: "publish", method: "POST", path: `${messages}?wait=acked&wait_ms=1`, body: "x" },
    { verb: "publish", method: "POST", path: messages, headers: { "content-type": pointerType }, body: pointer },
    { verb: "publish", method: "POST", path: `${root}/uploads`, ...json(claim) },
    { verb: "publish", method: "POST", path: `${root}/uploads/complete`, ...json({ key: "k", ...claim }) },
    { verb: "fetch", method: "GET", path: messages },
    { verb: "fetch", method: "HEAD", path: messages },
    { verb: "fetch", method: "GET", path: `${messages}?headers_only=true` },
    { verb: "fetch", method: "GET", path: `${messages}?from=new&wait_ms=10` },
    { verb: "fetch", method: "GET", path: `${messages}/1` },
    { verb: "fetch", method: "HEAD", path: `${messages}/1` },
    { verb: "fetch", method: "GET", path: `${messages}/1`, headers: { range: "bytes=0-0" } },
    { verb: "fetch", method: "GET", path: `${messages}/1?deliver=pointer` },
    { verb: "fetch", method: "GET", path: `${messages}?deliver=pointer` },
    { verb: "fetch", method: "GET", path: `${messages}/1/receipts` },
    { verb: "fetch", method: "GET", path: root },
    {
      verb: "subscribe",
      method: "GET",
      path: `${messages}?from=first&limit=1`,
      headers: { accept: "text/event-stream" },
    },
    { verb: "consume", method: "PUT", path: consumer, ...json({ ack: "explicit" }) },
    { verb: "consume", method: "GET", path: consumer },
    { verb: "consume", method: "GET", path: `${root}/consumers` },
    { verb: "fetch", method: "POST", path: `${consumer}/fetch`, ...json({ limit: 1 }) },
    { verb: "fetch", method: "POST", path: `${consumer}/fetch`, ...json({ limit: 1, auto_ack: true }) },
    { verb: "fetch", method: "GET", path: `${consumer}/peek` },
    { verb: "consume", method: "POST", path: `${consumer}/ack`, ...json({ sequences: [1] }) },
    { verb: "consume", method: "POST", path: `${consumer}/nack`, ...json({ sequences: [1] }) },
    { verb: "consume", method: "POST", path: `${consumer}/redrive`, ...json({}) },
    { verb: "consume", method: "DELETE", path: consumer },
    { verb: "purge", method: "DELETE", path: `${messages}?through=0` },
    { verb: "purge", method: "PUT", path: policy, ...json({ max_messages: 1000 }) },
    { verb: "purge", method: "GET", path: policy },
    { verb: "purge", method: "DELETE", path: policy },
    { verb: "list", method: "GET", path: "/v1/subjects" },
    { verb: "list", method: "GET", path: `/v1/subjects?filter=${encodeURIComponent(subject)}` },
  ];
};

/** Paths that answer everybody. */
export const openPaths = [
  "/healthz",
  "/readyz",
  "/swagger",
  "/docs",
  "/swagger/json",
  "/swagger/assets/start.js",
] as const;
