/**
 * The SDK over a network that cuts and a server that is killed: no gap, no repeat, the order of each subject.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SeededRandom } from "../testing/faults/random.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../testing/server.ts";
import { startTcpProxy, type TcpProxy } from "../testing/tcp-proxy.ts";
import type { MtsError } from "./index.ts";
import { type ConnectOptions, connect, EpochChangedError, type Mts, type Status } from "./index.ts";

const fast: ConnectOptions = { backoffMsMin: 2, backoffMsMax: 20 };

/** A server behind proxies: the URL of a client stays the same when the server starts again. */
class Site {
  /** Read by the proxies at each new connection. */
  readonly #target = { host: "127.0.0.1", port: 0 };
  readonly #proxies: TcpProxy[] = [];

  private constructor(public server: TestServer) {
    this.aim();
  }

  static async start(): Promise<Site> {
    return new Site(await startTestServer());
  }

  /** Lets the proxies lead to where the server is now. */
  aim(server = this.server): void {
    this.#target.port = Number(new URL(server.url).port);
  }

  async proxy(): Promise<TcpProxy> {
    const proxy = await startTcpProxy(this.#target);
    this.#proxies.push(proxy);
    return proxy;
  }

  async kill(): Promise<void> {
    await this.server.restart("SIGKILL");
    this.aim();
  }

  async stop(): Promise<void> {
    for (const proxy of this.#proxies) await proxy.stop();
    await this.server.close();
  }
}

let site: Site;
beforeAll(async () => {
  site = await Site.start();
}, 30_000);
afterAll(() => site.stop(), 30_000);

const urlOf = (proxy: TcpProxy): string => `http://127.0.0.1:${proxy.port}`;

/** Numbers that grow, and who waits until one is reached. */
class Progress {
  #value = 0;
  #waiting: { readonly value: number; readonly resolve: (reached: undefined) => void }[] = [];

  add(): void {
    this.#value++;
    this.#waiting = this.#waiting.filter(({ value, resolve }) => {
      if (value > this.#value) return true;
      resolve(undefined);
      return false;
    });
  }

  reached(value: number): Promise<void> {
    if (this.#value >= value) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ value, resolve }));
  }
}

/** Collects what a subscription gives, by subject, and fails at the first gap or repeat. */
const collect = (mts: Mts, filter: string, options: Parameters<Mts["subscribe"]>[1]) => {
  const bodies = new Map<string, number[]>();
  const progress = new Progress();
  const subscription = mts.subscribe(filter, options);
  const run = async (): Promise<void> => {
    for await (const message of subscription) {
      const list = bodies.get(message.subject) ?? [];
      bodies.set(message.subject, list);
      if (message.sequence !== list.length + 1) {
        throw new Error(`${message.subject}: ${message.sequence} came as number ${list.length + 1}`);
      }
      list.push(Number(message.text()));
      progress.add();
    }
  };
  const done = run();
  done.catch(() => undefined);
  return { bodies, subscription, done, reached: (count: number) => Promise.race([progress.reached(count), done]) };
};

/** Publishes numbers over more and more subjects; answers what each subject must hold. */
const publishNumbers = (mts: Mts, prefix: string, count: number, progress: Progress) => {
  const expected = new Map<string, number[]>();
  const publishOne = async (i: number): Promise<void> => {
    const subject = `${prefix}.${i % (2 + Math.floor(i / 150))}`;
    const list = expected.get(subject) ?? [];
    expected.set(subject, list);
    list.push(i);
    const { duplicate } = await mts.publish(subject, String(i));
    expect(duplicate).toBe(false);
    progress.add();
  };
  const run = async (): Promise<void> => {
    const flights: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      flights.push(publishOne(i));
      // As fast as the answers come, with some hundred in flight.
      if (i >= 200) await flights[i - 200];
    }
    await Promise.all(flights);
  };
  return { expected, done: run() };
};

describe("under faults", () => {
  test.each([1, 2, 3])("no gap, no repeat, in order: cuts, seed %d", async (seed) => {
    const random = new SeededRandom(seed);
    const prefix = uniqueSubject("chaos.cut");
    const [up, down] = [await site.proxy(), await site.proxy()];
    // A small window: some wait for their turn when the connection breaks, and must come after those under way.
    await using publisher = connect(urlOf(up), { ...fast, inFlightMax: random.integer(8, 64) });
    await using subscriber = connect(urlOf(down), fast);
    const live = collect(subscriber, `${prefix}.>`, { credit: random.integer(1, 200) });
    const one = collect(subscriber, `${prefix}.0`, { from: "first", credit: random.integer(1, 50) });
    const first = collect(subscriber, `${prefix}.*`, { from: "first" });
    const timed = collect(subscriber, `${prefix}.*`, { from: new Date(Date.now() - 60_000) });
    await live.subscription.ready;
    const published = new Progress();
    const count = 1500;
    const { expected, done } = publishNumbers(publisher, prefix, count, published);
    for (let at = 100; at < count; at += random.integer(50, 250)) {
      await published.reached(at);
      const proxy = random.integer(0, 2) === 0 ? up : down;
      if (random.integer(0, 1) === 0) proxy.cut();
      else void proxy.cutAfter(random.integer(1, 20_000), random.integer(0, 3) === 0 ? "up" : "down");
    }
    await done;
    await Promise.all([live, first, timed].map((reader) => reader.reached(count)));
    await one.reached(expected.get(`${prefix}.0`)?.length ?? 0);
    for (const { bodies } of [live, first, timed]) expect(bodies).toEqual(expected);
    expect(one.bodies.get(`${prefix}.0`)).toEqual(expected.get(`${prefix}.0`) ?? []);
  });

  test("no gap, no repeat, in order: the server is killed", async () => {
    const prefix = uniqueSubject("chaos.kill");
    const proxy = await site.proxy();
    await using mts = connect(urlOf(proxy), fast);
    const live = collect(mts, `${prefix}.>`, { credit: 64 });
    await live.subscription.ready;
    const published = new Progress();
    const { expected, done } = publishNumbers(mts, prefix, 1200, published);
    for (const at of [200, 700]) {
      await published.reached(at);
      await site.kill();
    }
    await done;
    await live.reached(1200);
    expect(live.bodies).toEqual(expected);
  });

  test("a server that stops cleanly loses nothing and refuses nobody for good", async () => {
    const prefix = uniqueSubject("chaos.stop");
    const proxy = await site.proxy();
    await using mts = connect(urlOf(proxy), fast);
    const live = collect(mts, `${prefix}.>`, {});
    await live.subscription.ready;
    const published = new Progress();
    const { expected, done } = publishNumbers(mts, prefix, 1000, published);
    await published.reached(300);
    await site.server.restart("SIGTERM");
    site.aim();
    await done;
    await live.reached(1000);
    expect(live.bodies).toEqual(expected);
  });

  test("consumers: all comes once in this process, explicit at least once", async () => {
    const subject = uniqueSubject("chaos.consumer");
    const proxy = await site.proxy();
    await using mts = connect(urlOf(proxy), fast);
    await mts.putConsumer(subject, "shared", { ack: "explicit", ackWaitMs: 300 });
    const once = collect(mts, subject, { consumer: "one", credit: 20 });
    const settled = new Set<number>();
    const progress = new Progress();
    const shared = mts.subscribe(subject, { consumer: "shared", credit: 20 });
    const settling = (async () => {
      for await (const message of shared) {
        message.ack().then(
          () => {
            if (!settled.has(message.sequence)) progress.add();
            settled.add(message.sequence);
          },
          () => undefined,
        );
      }
    })();
    const count = 400;
    const published = new Progress();
    const publishing = Promise.all(
      Array.from({ length: count }, async (_, i) => {
        await mts.publish(subject, String(i));
        published.add();
      }),
    );
    for (const at of [50, 150, 250]) {
      await Promise.race([progress.reached(at), settling]);
      proxy.cut();
    }
    await publishing;
    await once.reached(count);
    await Promise.race([progress.reached(count), settling]);
    expect(settled.size).toBe(count);
    expect((await mts.consumer(subject, "shared")).ackedThrough).toBe(count);
  });

  test("notifications of what moved meanwhile come after the reconnect, of nothing else", async () => {
    const prefix = uniqueSubject("chaos.notify");
    const proxy = await site.proxy();
    await using direct = connect(site.server.url);
    await direct.publish(`${prefix}.still`, "x");
    await using mts = connect(urlOf(proxy), fast);
    const notifications = mts.notify(`${prefix}.*`);
    await notifications.ready;
    await proxy.refuse();
    await direct.publish(`${prefix}.a`, "x");
    await direct.publish(`${prefix}.a`, "x");
    await proxy.listen();
    expect((await notifications.next()).value).toEqual({ subject: `${prefix}.a`, sequence: 2 });
    await direct.publish(`${prefix}.still`, "x");
    expect((await notifications.next()).value).toEqual({ subject: `${prefix}.still`, sequence: 2 });
  });
});

describe("the connection", () => {
  test("a new that saw nothing yet resumes where it was", async () => {
    const prefix = uniqueSubject("resume.new");
    const proxy = await site.proxy();
    await using direct = connect(site.server.url);
    await direct.publish(`${prefix}.a`, "before");
    await using mts = connect(urlOf(proxy), fast);
    const subscriptions = [`${prefix}.*`, `${prefix}.a`].map((filter) => mts.subscribe(filter));
    const last = mts.subscribe(`${prefix}.*`, { from: "last", credit: 1 });
    await Promise.all([...subscriptions, last].map(({ ready }) => ready));
    await proxy.refuse();
    await direct.publish(`${prefix}.a`, "meanwhile");
    await direct.publish(`${prefix}.a`, "meanwhile too");
    await proxy.listen();
    for (const subscription of subscriptions) {
      expect((await subscription.next()).value?.text()).toBe("meanwhile");
      expect((await subscription.next()).value?.text()).toBe("meanwhile too");
    }
    expect((await last.next()).value?.text()).toBe("before");
    expect((await last.next()).value?.text()).toBe("meanwhile");
  });

  test("pointers go on after a reconnect, those of the meantime too", async () => {
    const prefix = uniqueSubject("resume.pointer");
    const proxy = await site.proxy();
    await using direct = connect(site.server.url);
    await using mts = connect(urlOf(proxy), fast);
    const subscriptions = [`${prefix}.*`, `${prefix}.a`].map((filter) => mts.subscribe(filter, { deliver: "pointer" }));
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await direct.publish(`${prefix}.a`, "1");
    await proxy.refuse();
    await direct.publish(`${prefix}.a`, "22");
    await proxy.listen();
    await direct.publish(`${prefix}.a`, "333");
    for (const subscription of subscriptions) {
      for (const size of [1, 2, 3]) expect((await subscription.next()).value?.pointer?.size).toBe(size);
    }
  });

  test("silence is noticed: a ping, then the end, then another connection", async () => {
    const proxy = await site.proxy();
    const states: Status[] = [];
    const again = Promise.withResolvers<undefined>();
    await using mts = connect(urlOf(proxy), {
      ...fast,
      heartbeatMs: 20,
      onStatus: (status) => {
        states.push(status);
        if (status.state === "disconnected") proxy.resume();
        if (states.filter(({ state }) => state === "connected").length === 2) again.resolve(undefined);
      },
    });
    await mts.connected();
    proxy.pause();
    await again.promise;
    expect(states.map(({ state }) => state)).toEqual(["connected", "disconnected", "reconnecting", "connected"]);
    expect(states[1]).toMatchObject({ code: 4000, reason: "silent" });
  });

  test("publishes wait for a connection, within their time", async () => {
    const subject = uniqueSubject("waiting");
    const proxy = await site.proxy();
    await proxy.refuse();
    await using mts = connect(urlOf(proxy), { ...fast, queuedMax: 2 });
    const late = mts.publish(subject, "x", { timeoutMs: 1 }).catch((error: unknown) => error);
    const waiting = mts.publish(subject, "y");
    const refused = await mts.publish(subject, "z").catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "overloaded", retryable: true });
    expect(await late).toMatchObject({ code: "timed_out", retryable: true });
    await proxy.listen();
    expect((await waiting).sequence).toBe(1);
  });

  test("without ids the outcome of what was under way is unknown", async () => {
    const subject = uniqueSubject("unknown");
    const proxy = await site.proxy();
    await using mts = connect(urlOf(proxy), { ...fast, messageIds: false });
    await mts.connected();
    proxy.pause();
    const publishing = mts.publish(subject, "x").catch((error: unknown) => error);
    const fetching = mts.fetch({ subject, consumer: "c", autoAck: true }).catch((error: unknown) => error);
    // The frames leave in a microtask: after this turn they are on their way.
    await new Promise((resolve) => setTimeout(resolve));
    proxy.cut();
    proxy.resume();
    expect(await publishing).toMatchObject({ code: "outcome_unknown", retryable: true });
    expect(await fetching).toMatchObject({ code: "outcome_unknown", retryable: true });
    expect(await mts.ping()).toBeGreaterThan(0);
  });
});

describe("another store", () => {
  test("ends a subscription, or starts it over; acknowledgements do not go over to it", async () => {
    await using other = await startTestServer();
    const subject = uniqueSubject("epoch");
    const proxy = await site.proxy();
    const changed = Promise.withResolvers<MtsError>();
    await using mts = connect(urlOf(proxy), {
      ...fast,
      onStatus: (status) => status.state === "epoch_changed" && changed.resolve(status.error),
    });
    await mts.publish(subject, "old");
    const stops = mts.subscribe(subject, { from: "first" });
    const restarts = mts.subscribe(`${subject}.>`, { from: "first", onEpochChange: "restart" });
    const consumed = mts.subscribe(subject, { consumer: "c" });
    expect((await stops.next()).value?.text()).toBe("old");
    const { value: old } = await consumed.next();
    await restarts.ready;
    await using there = connect(other.url);
    await there.publish(`${subject}.new`, "1");
    site.aim(other);
    proxy.cut();
    const end = await stops.next().catch((error: unknown) => error);
    expect(end).toBeInstanceOf(EpochChangedError);
    expect(end).toMatchObject({ code: "epoch_changed", retryable: false, fields: { now: mts.epoch } });
    expect((await changed.promise).code).toBe("epoch_changed");
    expect((await restarts.next()).value).toMatchObject({ sequence: 1, subject: `${subject}.new` });
    expect(await old?.ack().catch((error: unknown) => error)).toMatchObject({ code: "epoch_changed" });
    site.aim();
  });
});

describe("a server that does not want the client", () => {
  const welcome = { op: "welcome", epoch: "e", version: "1", node: "n", max_frame_bytes: 1e6, heartbeat_ms: 30_000 };

  /** A server of its own words: what is asked here no real one answers on demand. */
  const serve = async (answer: (attempt: number) => number | Response) => {
    const { encodeMsgpack } = await import("../codec/msgpack.ts");
    let attempts = 0;
    return Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => {
        const upgrade = request.headers.get("upgrade") !== null;
        if (upgrade) attempts++;
        const answered = answer(attempts);
        if (answered instanceof Response) return answered;
        if (!upgrade) return new Response("{}", { status: 426 });
        const headers = { "sec-websocket-protocol": "mts.msgpack.v1" };
        server.upgrade(request, { data: answered, headers });
        return undefined;
      },
      websocket: {
        data: 0,
        open: (socket) => {
          socket.sendBinary(encodeMsgpack(welcome));
          if (socket.data !== 0) socket.close(socket.data, "so it is");
        },
        message: () => undefined,
      },
    });
  };

  const end = (url: string): Promise<{ error: MtsError | undefined; attempts: number }> =>
    new Promise((resolve) => {
      let attempts = 0;
      const mts = connect(url, {
        ...fast,
        onStatus: (status) => {
          if (status.state === "disconnected") attempts++;
          if (status.state === "closed") resolve({ error: status.error, attempts });
        },
      });
      mts.subscribe("a").ready.catch(() => undefined);
    });

  test("a close code from 3500 to 3999 ends it", async () => {
    using server = await serve((attempt) => (attempt === 1 ? 3001 : 3507));
    const { error, attempts } = await end(server.url.href);
    expect(attempts).toBe(2);
    expect(error).toMatchObject({ code: "connection_refused", retryable: false, fields: { close_code: 3507 } });
  });

  test("an upgrade refused with 4xx ends it with the server's code, 5xx does not", async () => {
    const problem = { code: "origin_not_allowed", detail: "no", retryable: false };
    using server = await serve((attempt) => Response.json(problem, { status: attempt < 3 ? 503 : 403 }));
    const { error, attempts } = await end(server.url.href);
    expect(attempts).toBe(3);
    expect(error).toMatchObject({ code: "origin_not_allowed", retryable: false, fields: { status: 403 } });
  });

  test("everything that waits ends with it", async () => {
    using server = await serve(() => new Response("{}", { status: 404 }));
    const mts = connect(server.url, fast);
    const waiting = [mts.publish("a", "x"), mts.fetch({ subject: "a" }), mts.subscribe("a").next(), mts.connected()];
    for (const outcome of await Promise.allSettled(waiting)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "connection_refused" } });
    }
  });

  test("without a WebSocket it says what to do", () => {
    const given = globalThis.WebSocket;
    try {
      Reflect.deleteProperty(globalThis, "WebSocket");
      expect(() => connect("http://localhost")).toThrow(/option webSocket/);
    } finally {
      globalThis.WebSocket = given;
    }
  });
});
