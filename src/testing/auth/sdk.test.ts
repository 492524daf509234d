/**
 * The SDK with tokens: as a text, as a function, in runtimes whose WebSocket sends headers and in those that take
 * subprotocols only; and what it does when a token is wrong or has expired.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ConnectOptions, connect, MtsError, type Status } from "../../client/index.ts";
import { useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const grants = { client_id: "sdk", allowed_subjects: ["sdk.>"], permissions: ["*"] };

const open = (options: ConnectOptions) => connect(auth().server.url, { backoffMsMin: 5, ...options });

const failure = (work: Promise<unknown>): Promise<MtsError> =>
  work.then(
    () => Promise.reject(new Error("it went well")),
    (error: unknown) =>
      error instanceof MtsError ? error : Promise.reject(error instanceof Error ? error : new Error()),
  );

/** A WebSocket as browsers have it: its second argument is a text or a list of them. */
class BrowserWebSocket extends WebSocket {
  static offered: string | string[] = "";

  constructor(url: string, protocols: string | string[]) {
    if (typeof protocols !== "string" && !Array.isArray(protocols)) throw new SyntaxError("no subprotocol");
    BrowserWebSocket.offered = protocols;
    super(url, protocols);
  }
}

describe("a token that is a text", () => {
  test("is shown to the WebSocket and to HTTP", async () => {
    await using mts = open({ token: auth().issuer.token(grants) });
    expect((await mts.publish("sdk.text", "x")).sequence).toBe(1);
    await mts.putConsumer("sdk.text", "c", { ack: "explicit" });
    const page = await mts.fetch({ subject: "sdk.text", consumer: "c" });
    await page.messages[0]?.ack();
    expect((await mts.consumer("sdk.text", "c")).ackedThrough).toBe(1);
    expect((await failure(mts.publish("other.a", "x"))).code).toBe("permission_denied");
    expect((await failure(mts.consumer("other.a", "c"))).code).toBe("permission_denied");
  });

  test("goes among the subprotocols where the WebSocket sends no headers", async () => {
    const token = auth().issuer.token(grants);
    await using mts = open({ token, webSocket: BrowserWebSocket });
    expect((await mts.publish("sdk.browser", "x")).sequence).toBe(1);
    expect(BrowserWebSocket.offered).toEqual(["mts.msgpack.v1", `mts.token.${token}`]);
  });

  test.each([BrowserWebSocket, undefined])("that is wrong ends the client with unauthenticated", async (webSocket) => {
    const statuses: Status[] = [];
    await using mts = open({ token: "x.y.z", webSocket, onStatus: (status) => statuses.push(status) });
    const error = await failure(mts.publish("sdk.a", "x"));
    expect([error.code, error.retryable, error.fields["status"]]).toEqual(["unauthenticated", false, 401]);
    expect((await failure(mts.ping())).code).toBe("unauthenticated");
    expect(statuses.filter(({ state }) => state === "reconnecting")).toEqual([]);
  });

  test("that expires ends it with token_expired, subscriptions too", async () => {
    await using mts = open({ token: auth().issuer.token(grants, { exp: inSeconds(2) }) });
    const subscription = mts.subscribe("sdk.a");
    await subscription.ready;
    expect((await failure(subscription.next())).code).toBe("token_expired");
    expect((await failure(mts.publish("sdk.a", "x"))).code).toBe("token_expired");
  });

  test("none at all is told apart from a server that is away", async () => {
    await using mts = open({});
    expect((await failure(mts.connected())).code).toBe("unauthenticated");
  });
});

describe("a token that is a function", () => {
  test("is asked again when one expires; subscriptions and publishes go on without a gap", async () => {
    const { issuer } = auth();
    let asked = 0;
    const closes: number[] = [];
    await using mts = open({
      token: () => {
        asked++;
        return Promise.resolve(issuer.token(grants, { exp: inSeconds(2) }));
      },
      onStatus: (status) => {
        if (status.state === "disconnected") closes.push(status.code);
      },
    });
    const subscription = mts.subscribe("sdk.flow.*", { from: "first" });
    await subscription.ready;
    const sequences: number[] = [];
    const reading = (async () => {
      for await (const { sequence } of subscription) sequences.push(sequence);
    })();
    let published = 0;
    while (closes.length < 2) {
      published = (await mts.publish("sdk.flow.a", String(published))).sequence;
    }
    while (sequences.length < published) await new Promise((resolve) => setImmediate(resolve));
    subscription.close();
    await reading;
    expect(sequences).toEqual(Array.from({ length: published }, (_, index) => index + 1));
    expect(closes).toEqual([3005, 3005]);
    expect(asked).toBeGreaterThanOrEqual(3);
  });

  test("is asked again for HTTP when the server says that it expired", async () => {
    const { issuer } = auth();
    const tokens = [issuer.token(grants), issuer.token(grants, { exp: inSeconds(-5) }), issuer.token(grants)];
    let asked = 0;
    await using mts = open({ token: () => tokens[Math.min(asked++, tokens.length - 1)] ?? "" });
    await mts.connected();
    expect(asked).toBe(1);
    // The second one is asked for by a connection that is refused with it.
    const error = await failure(mts.consumer("sdk.none", "c"));
    expect(error.code).toBe("consumer_not_found");
  });

  test("that throws is tried again, and the status says what it threw", async () => {
    const { issuer } = auth();
    const errors: unknown[] = [];
    let asked = 0;
    await using mts = open({
      token: () => {
        if (asked++ < 2) throw new Error("no network");
        return issuer.token(grants);
      },
      onStatus: (status) => {
        if (status.state === "reconnecting") errors.push(status.error);
      },
    });
    await mts.connected();
    expect(errors.map((error) => (error instanceof MtsError ? String(error.cause) : ""))).toEqual([
      "Error: no network",
      "Error: no network",
    ]);
  });

  test("that gives wrong ones ends the client", async () => {
    await using mts = open({ token: () => "x.y.z" });
    expect((await failure(mts.connected())).code).toBe("unauthenticated");
  });
});

describe("beside tokens", () => {
  test("a subscription with a limit ends after so many messages", async () => {
    await using mts = open({ token: auth().issuer.token(grants) });
    for (let i = 0; i < 5; i++) await mts.publish("sdk.limit", String(i));
    const texts: string[] = [];
    for await (const message of mts.subscribe("sdk.limit", { from: "first", limit: 3 })) texts.push(message.text());
    expect(texts).toEqual(["0", "1", "2"]);
  });

  test("one signal ends every publish that it was given to", async () => {
    await using mts = open({ token: auth().issuer.token(grants) });
    const controller = new AbortController();
    const { signal } = controller;
    const published = await Promise.all(Array.from({ length: 100 }, () => mts.publish("sdk.signal", "x", { signal })));
    expect(published.length).toBe(100);
    const late = Array.from({ length: 100 }, () => failure(mts.publish("sdk.signal", "x", { signal })));
    controller.abort();
    expect(new Set((await Promise.all(late)).map(({ code }) => code))).toEqual(new Set(["aborted"]));
  });
});
