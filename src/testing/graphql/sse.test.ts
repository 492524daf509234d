/**
 * Subscriptions as server-sent events: by the official client of graphql-sse, and with nothing but fetch.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "graphql-sse";
import { startTestServer, useTestServer } from "../server.ts";
import { ask, eventBody, graphqlUrl, post, publishEvents } from "./rig.ts";

setDefaultTimeout(30_000);

const server = useTestServer();

test("the official client gets every event, in distinct connections", async () => {
  const { data } = await ask(server(), "{ events(order: oldest) { nextCursor } }");
  const { nextCursor: cursor } = data?.["events"] as { nextCursor: string };
  const client = createClient({ url: graphqlUrl(server()), singleConnection: false, retryAttempts: 0 });
  const query = "subscription ($cursor: String) { eventStream(cursor: $cursor) { amount } }";
  const heard: unknown[] = [];
  const events = client.iterate({ query, variables: { cursor } });
  await publishEvents(
    server(),
    Array.from({ length: 200 }, (_, index) => eventBody(index)),
  );
  for await (const { data: event } of events) {
    heard.push((event as { eventStream: { amount: number } }).eventStream.amount);
    if (heard.length === 200) break;
  }
  expect(heard).toEqual(Array.from({ length: 200 }, (_, index) => index));
  client.dispose();
});

test("what is wrong comes as an event, and the stream is complete", async () => {
  const response = await post(server(), `subscription { eventStream(cursor: "none") { id } }`, {
    headers: { accept: "text/event-stream" },
  });
  const text = await response.text();
  expect(text).toContain("event: next");
  expect(text).toContain(`"code":"invalid_parameter"`);
  expect(text).toContain("event: complete");
});

test("who cannot take a stream gets none, and none stays open", async () => {
  const running = async (): Promise<string | undefined> =>
    /^mts_subscriptions (\d+)$/m.exec(await (await fetch(`${server().url}/metrics`)).text())?.[1];
  const before = await running();
  const query = "subscription { eventStream { id } }";
  expect((await post(server(), query, { headers: { accept: "application/json" } })).status).toBe(406);
  const url = `${graphqlUrl(server())}?query=${encodeURIComponent(query)}`;
  expect((await fetch(url, { method: "HEAD", headers: { accept: "text/event-stream" } })).status).toBe(406);
  expect(await running()).toBe(before);
});

test("a stream by GET ends with the server", async () => {
  await using stopping = await startTestServer();
  const query = encodeURIComponent("subscription { eventStream { amount } }");
  const response = await fetch(`${graphqlUrl(stopping)}?query=${query}`, { headers: { accept: "text/event-stream" } });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  await publishEvents(stopping, [eventBody(1)]);
  let text = "";
  let stopped: Promise<void> | undefined;
  for await (const chunk of (response.body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes(`data: {"data":{"eventStream":{"amount":1}}}\n\n`)) stopped ??= stopping.stop();
  }
  expect(stopped).toBeDefined();
  await stopped;
});
