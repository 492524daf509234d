/**
 * Subscriptions over WebSocket: by the official client of graphql-ws, and message by message.
 * @module
 */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Client, createClient } from "graphql-ws";
import { bearer, useAuthServer } from "../auth/server.ts";
import { inSeconds } from "../auth/token.ts";
import { rawUpgrade } from "../raw-ws.ts";
import { startTestServer, type TestServer, useTestServer } from "../server.ts";
import { ask, eventBody, graphqlWsUrl, ProtocolSocket, publishEvents } from "./rig.ts";

setDefaultTimeout(30_000);

const clients: Client[] = [];

const clientOf = (server: TestServer, connectionParams?: Record<string, unknown>): Client => {
  const client = createClient({
    url: graphqlWsUrl(server),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams,
  });
  clients.push(client);
  return client;
};

afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
});

const document = "subscription { eventStream { id userId eventType amount timestamp } }";
const amounts = "subscription { eventStream { amount } }";
const amountMessage = (id: string, amount: number) => ({
  id,
  type: "next",
  payload: { data: { eventStream: { amount } } },
});

/** Where the stream stands: a subscription from here hears everything that comes. */
const here = async (server: TestServer): Promise<string> => {
  const { data } = await ask(server, "{ events(order: oldest, limit: 1000) { nextCursor hasMore } }");
  const { nextCursor, hasMore } = data?.["events"] as { nextCursor: string; hasMore: boolean };
  if (hasMore) throw new Error("too many events for a test");
  return nextCursor;
};

describe("the official client", () => {
  const server = useTestServer();

  test("gets every event once and in order, with filters", async () => {
    const cursor = await here(server());
    const query = `subscription ($type: EventType, $user: String, $cursor: String) {
      eventStream(eventType: $type, userId: $user, cursor: $cursor) { id amount userId eventType }
    }`;
    const hear = async (variables: Record<string, unknown>, count: number): Promise<unknown[]> => {
      const heard: unknown[] = [];
      for await (const { data } of clientOf(server()).iterate({ query, variables: { cursor, ...variables } })) {
        heard.push((data as { eventStream: { amount: number } }).eventStream.amount);
        if (heard.length === count) break;
      }
      return heard;
    };
    const all = hear({}, 30);
    const refunds = hear({ type: "refund" }, 10);
    const ofUser = hear({ user: "u1" }, 15);
    const types = ["purchase", "return", "refund"] as const;
    const bodies = Array.from({ length: 30 }, (_, index) =>
      eventBody(index, { event_type: types[index % 3] ?? "purchase", user_id: `u${index % 2}` }),
    );
    for (const body of bodies) await publishEvents(server(), [body]);
    const heard = await all;
    for (const rest of [0, 1, 2]) {
      expect(heard.filter((amount) => Number(amount) % 3 === rest)).toEqual(
        Array.from({ length: 10 }, (_, index) => index * 3 + rest),
      );
    }
    expect(await refunds).toEqual(Array.from({ length: 10 }, (_, index) => index * 3 + 2));
    expect(new Set(await ofUser)).toEqual(new Set(Array.from({ length: 15 }, (_, index) => index * 2 + 1)));
  });

  test("goes on behind the cursor of an event", async () => {
    const cursor = await here(server());
    await publishEvents(server(), [eventBody(1), eventBody(2), eventBody(3)]);
    const take = async (from: string, count: number) => {
      const query = `subscription { eventStream(cursor: "${from}") { amount cursor } }`;
      const heard: { amount: number; cursor: string }[] = [];
      for await (const { data } of clientOf(server()).iterate({ query })) {
        heard.push((data as { eventStream: { amount: number; cursor: string } }).eventStream);
        if (heard.length === count) break;
      }
      return heard;
    };
    const first = await take(cursor, 1);
    expect(first.map(({ amount }) => amount)).toEqual([1]);
    expect((await take(first[0]?.cursor ?? "", 2)).map(({ amount }) => amount)).toEqual([2, 3]);
  });

  test("asks questions, and hears what is wrong with them", async () => {
    const client = clientOf(server());
    const answers: unknown[] = [];
    for await (const answer of client.iterate({ query: "{ __typename }" })) answers.push(answer);
    expect(answers).toEqual([{ data: { __typename: "Query" } }]);
    const failed = (query: string) =>
      new Promise(
        (resolve) => void client.subscribe({ query }, { next: resolve, error: resolve, complete: () => undefined }),
      );
    expect(await failed("subscription { eventStream { nothing } }")).toMatchObject([
      { extensions: { code: "malformed_request" } },
    ]);
    expect(await failed(`subscription { eventStream(cursor: "none") { id } }`)).toMatchObject([
      { extensions: { code: "invalid_parameter" } },
    ]);
    expect(await failed("{ lastEvents(limit: 0) { id } }")).toMatchObject({
      errors: [{ extensions: { code: "invalid_parameter" } }],
    });
  });

  test("a hundred of them share a subscription and each gets everything", async () => {
    const sockets = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = await ProtocolSocket.ready(server());
        await socket.subscribe(`s${index}`, document);
        return socket;
      }),
    );
    await publishEvents(
      server(),
      Array.from({ length: 50 }, (_, index) => eventBody(index)),
    );
    for (const [index, socket] of sockets.entries()) {
      for (let amount = 0; amount < 50; amount++) {
        expect(await socket.next()).toMatchObject({
          id: `s${index}`,
          type: "next",
          payload: { data: { eventStream: { amount, eventType: "purchase" } } },
        });
      }
      socket.raw.socket.destroy();
    }
  });
});

describe("the protocol", () => {
  const server = useTestServer();

  const closeAfter = async (...messages: readonly (object | string)[]): Promise<number> => {
    const socket = await ProtocolSocket.open(server());
    for (const message of messages) socket.send(typeof message === "string" ? message : { ...message });
    return (await socket.closed()).code;
  };

  const init = { type: "connection_init" };
  const subscribe = { id: "a", type: "subscribe", payload: { query: amounts } };

  test("closes with the codes of the protocol", async () => {
    expect(await closeAfter("not json")).toBe(4400);
    expect(await closeAfter("[]")).toBe(4400);
    expect(await closeAfter(init, { type: "unknown" })).toBe(4400);
    expect(await closeAfter(init, { ...subscribe, id: "" })).toBe(4400);
    expect(await closeAfter(init, { ...subscribe, payload: { query: 1 } })).toBe(4400);
    expect(await closeAfter(init, { ...subscribe, payload: { query: amounts, variables: [] } })).toBe(4400);
    expect(await closeAfter(subscribe)).toBe(4401);
    expect(await closeAfter(init, subscribe, subscribe)).toBe(4409);
    expect(await closeAfter(init, init)).toBe(4429);
    expect(await closeAfter(init, JSON.stringify({ type: "ping", payload: { x: "x".repeat(1024 * 1024) } }))).toBe(
      1009,
    );
  });

  test("closes who does not begin", async () => {
    expect(await closeAfter()).toBe(4408);
  });

  test("binary frames are none of the protocol", async () => {
    const socket = await ProtocolSocket.ready(server());
    socket.raw.send(Buffer.from(JSON.stringify({ type: "ping" })));
    expect((await socket.closed()).code).toBe(4400);
  });

  test("answers pings with what came in them", async () => {
    const socket = await ProtocolSocket.ready(server());
    socket.send({ type: "ping" });
    socket.send({ type: "ping", payload: { a: 1 } });
    expect(await socket.next()).toEqual({ type: "pong" });
    expect(await socket.next()).toEqual({ type: "pong", payload: { a: 1 } });
    socket.raw.socket.destroy();
  });

  test("an id is free again after complete, and odd ones are kept", async () => {
    const socket = await ProtocolSocket.ready(server());
    const id = `"\\ü\n`;
    await socket.subscribe(id, amounts);
    await publishEvents(server(), [eventBody(1)]);
    expect(await socket.next()).toEqual(amountMessage(id, 1));
    socket.send({ id, type: "complete" });
    await socket.subscribe("other", "subscription { eventStream { userId } }");
    await publishEvents(server(), [eventBody(2)]);
    expect(await socket.next()).toMatchObject({ id: "other" });
    await socket.subscribe(id, amounts);
    socket.raw.socket.destroy();
  });

  test("an upgrade must offer the subprotocol and come from an own page", async () => {
    const upgrade = async (...headers: readonly string[]): Promise<number> => {
      const { head, socket } = await rawUpgrade(graphqlWsUrl(server()), headers);
      socket.destroy();
      return head.status;
    };
    expect(await upgrade()).toBe(400);
    expect(await upgrade("Sec-WebSocket-Protocol: graphql-ws")).toBe(400);
    expect(await upgrade("Sec-WebSocket-Protocol: graphql-transport-ws", "Origin: https://other.example")).toBe(403);
    expect(await upgrade("Sec-WebSocket-Protocol: x, graphql-transport-ws")).toBe(101);
  });

  test("who does not read is closed, and the others get everything", async () => {
    const slow = await ProtocolSocket.ready(server());
    await slow.subscribe("slow", document);
    const fast = await ProtocolSocket.ready(server());
    await fast.subscribe("fast", document);
    slow.raw.socket.pause();
    const count = 40_000;
    const user = "u".repeat(255);
    const published = (async () => {
      for (let sent = 0; sent < count; sent += 5000) {
        await publishEvents(
          server(),
          Array.from({ length: 5000 }, (_, index) => eventBody(sent + index, { user_id: user })),
        );
      }
    })();
    for (let amount = 0; amount < count; amount++) {
      const message = await fast.next();
      if (amount % 1000 === 0) expect(message).toMatchObject({ payload: { data: { eventStream: { amount } } } });
    }
    await published;
    // Whether the close frame still reaches one who does not read depends on when it reads again.
    const metrics = await (await fetch(`${server().url}/metrics`)).text();
    const closings = metrics.split("\n").filter((line) => line.startsWith("mts_websocket_connections_closed_total"));
    expect(closings).toContain(`mts_websocket_connections_closed_total{code="4008"} 1`);
    slow.raw.socket.resume();
    await slow.raw.socket.closed;
    fast.raw.socket.destroy();
  });

  test("one who is alone may be as slow as they like", async () => {
    const socket = await ProtocolSocket.ready(server());
    await socket.subscribe("alone", amounts.replace("amount", "amount userId"));
    socket.raw.socket.pause();
    const count = 40_000;
    const user = "u".repeat(255);
    for (let sent = 0; sent < count; sent += 5000) {
      await publishEvents(
        server(),
        Array.from({ length: 5000 }, (_, index) => eventBody(sent + index, { user_id: user })),
      );
    }
    socket.raw.socket.resume();
    for (let amount = 0; amount < count; amount++) {
      const message = await socket.next();
      if (amount % 1000 === 0) expect(message).toMatchObject({ payload: { data: { eventStream: { amount } } } });
    }
    socket.raw.socket.destroy();
  });

  test("a stop closes with 3001", async () => {
    await using stopping = await startTestServer();
    const socket = await ProtocolSocket.ready(stopping);
    await socket.subscribe("a", amounts);
    const closed = socket.closed();
    await stopping.stop();
    expect(await closed).toEqual({ code: 3001, reason: "shutting down" });
  });
});

describe("with tokens", () => {
  const auth = useAuthServer();

  test("the token comes in connection_init or with the upgrade", async () => {
    const { server, issuer } = auth();
    const token = bearer(issuer.admin());
    const inPayload = await ProtocolSocket.ready(server, token);
    await inPayload.subscribe("a", amounts);
    const { socket } = await rawUpgrade(graphqlWsUrl(server), [
      "Sec-WebSocket-Protocol: graphql-transport-ws",
      `Authorization: ${token["authorization"] ?? ""}`,
    ]);
    socket.destroy();
    await publishEvents(server, [eventBody(7)], token);
    expect(await inPayload.next()).toEqual(amountMessage("a", 7));
    inPayload.raw.socket.destroy();
  });

  test("without a good one nobody is let in", async () => {
    const { server } = auth();
    for (const payload of [
      undefined,
      {},
      { authorization: "Bearer x.y.z" },
      { authorization: 1 },
      { authorization: "x" },
    ]) {
      const socket = await ProtocolSocket.open(server);
      socket.send({ type: "connection_init", payload });
      expect((await socket.closed()).code).toBe(4403);
    }
  });

  test("rights are those of the token, also where others have more", async () => {
    const { server, issuer } = auth();
    const all = await ProtocolSocket.ready(server, bearer(issuer.admin()));
    await all.subscribe("all", amounts);
    const grants = { allowed_subjects: ["events.purchase"], permissions: ["subscribe"] };
    const some = await ProtocolSocket.ready(server, bearer(issuer.token(grants)));
    some.send({ id: "all", type: "subscribe", payload: { query: amounts } });
    expect(await some.next()).toMatchObject({
      id: "all",
      type: "error",
      payload: [{ extensions: { code: "permission_denied" } }],
    });
    await some.subscribe("own", "subscription { eventStream(eventType: purchase) { amount } }");
    all.raw.socket.destroy();
    some.raw.socket.destroy();
  });

  test("a token that expires ends the connection", async () => {
    const { server, issuer } = auth();
    const token = issuer.token({ allowed_subjects: [">"], permissions: ["subscribe"] }, { exp: inSeconds(2) });
    const socket = await ProtocolSocket.ready(server, bearer(token));
    await socket.subscribe("a", amounts);
    expect((await socket.closed()).code).toBe(4403);
  });
});
