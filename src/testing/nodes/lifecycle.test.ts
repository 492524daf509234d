/**
 * Two nodes over one pair of stores: what is put aside on one is pushed on the other, also when the first one died; an
 * acknowledgement on one answers whoever waits for it on the other.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { textsOf } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { until } from "../policies.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../server.ts";
import { WsClient } from "../ws-client.ts";
import { useBackends } from "./use-cluster.ts";

setDefaultTimeout(30_000);

const backends = useBackends();
const start = (): Promise<TestServer> => startTestServer({ env: backends().env() });

const post = (server: TestServer, path: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${server.url}/v1/subjects/${path}`, { method: "POST", body, headers });

test("a message that one node put aside is pushed by the other, and once", async () => {
  await using a = await start();
  await using b = await start();
  const subject = uniqueSubject("delayed");
  const client = await WsClient.connect(b.wsUrl);
  const subscription = await client.subscribe(`${subject}.*`);
  for (const text of ["one", "two"]) {
    expect((await post(a, `${subject}.x/messages`, text, { delay: "100ms" })).status).toBe(202);
  }
  await subscription.count(2);
  expect(textsOf(subscription.messages)).toEqual(["one", "two"]);
  await client.close();
  const page = await new HttpClient(a.url).read(`${subject}.x`);
  expect(textsOf(page.messages)).toEqual(["one", "two"]);
});

test("what a node put aside before it died, another one commits", async () => {
  await using b = await start();
  const subject = uniqueSubject("orphaned");
  {
    await using a = await start();
    expect((await post(a, `${subject}/messages`, "left behind", { delay: "500ms" })).status).toBe(202);
    await a.kill("SIGKILL");
  }
  const { messages } = await until(
    () => new HttpClient(b.url).read(subject),
    (page) => page.messages.length > 0,
  );
  expect(textsOf(messages)).toEqual(["left behind"]);
});

test("an acknowledgement on one node answers a publisher on the other", async () => {
  await using a = await start();
  await using b = await start();
  const subject = uniqueSubject("acked");
  const http = new HttpClient(b.url);
  const consumer = { method: "PUT", body: JSON.stringify({ start: "first", ack: "explicit" }) };
  const headers = { "content-type": "application/json" };
  await fetch(`${b.url}/v1/subjects/${subject}/consumers/worker`, { ...consumer, headers });
  const publishing = post(a, `${subject}/messages?wait=acked&wait_ms=20000`, "answer me");
  const fetched = await until(
    () => http.fetch(subject, "worker", { limit: 1 }),
    (page) => page.messages.length > 0,
  );
  expect(textsOf(fetched.messages)).toEqual(["answer me"]);
  await fetch(`${b.url}/v1/subjects/${subject}/consumers/worker/ack`, {
    ...{ method: "POST", headers },
    body: JSON.stringify({ sequences: [1] }),
  });
  expect(await (await publishing).json()).toMatchObject({
    ...{ subject, sequence: 1, acked: 1, recipients_total: 1, acknowledged: true },
  });
});
