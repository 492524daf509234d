/**
 * Bodies as they come in: too large, broken off, too slow, too many at once. Streams stand for clients; the clock is
 * turned by hand.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { ByteBudget } from "../../core/admission.ts";
import { Intake } from "./intake.ts";
import { Pace } from "./pace.ts";
import type { HttpClock } from "./tails.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

/** Ticks when it is told to. */
class HandClock implements HttpClock {
  #run: (() => void) | undefined;

  every(_intervalMs: number, run: () => void): () => void {
    this.#run = run;
    return () => {
      this.#run = undefined;
    };
  }

  /** Whether somebody waits for the next tick. */
  get running(): boolean {
    return this.#run !== undefined;
  }

  tick(times: number): void {
    for (; times > 0; times--) this.#run?.();
  }
}

const make = (bytesMax = 1000) => {
  const clock = new HandClock();
  const budget = new ByteBudget(bytesMax);
  const pace = new Pace(clock, { graceMs: 3000, bytesPerSecondMin: 10 });
  return { clock, budget, open: (request: Request): Intake => new Intake(request, { budget, pace }) };
};

const post = (body: Uint8Array | ReadableStream, headers: Record<string, string> = {}): Request =>
  new Request("http://localhost/", { method: "POST", body, headers });

/** A client that sends when it is told to. */
const client = () => {
  let output: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      output = controller;
    },
  });
  return { stream, send: (text: string) => output?.enqueue(bytes(text)), end: () => output?.close() };
};

const threes = (chunks: number): ReadableStream =>
  new ReadableStream({
    start: (controller) => {
      for (let i = 0; i < chunks; i++) controller.enqueue(bytes("abc"));
      controller.close();
    },
  });

describe("counting", () => {
  test("a body up to its limit is read, one byte more is refused", async () => {
    const { open } = make();
    expect(await open(post(threes(3))).bytes(9)).toHaveLength(9);
    expect(await caught(open(post(threes(3))).bytes(8))).toMatchObject({ code: "body_too_large" });
    expect(await open(post(bytes("abc"), { "content-length": "3" })).bytes(3)).toHaveLength(3);
  });

  test("a Content-Length above the limit is refused unread", async () => {
    const request = post(bytes("abc"), { "content-length": "3" });
    expect(await caught(make().open(request).bytes(2))).toMatchObject({ code: "body_too_large" });
    expect(request.bodyUsed).toBe(false);
  });

  test("a body that breaks off is the client's fault", async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    const chunks = make().open(post(broken)).chunks(9);
    expect(await caught(chunks.next())).toMatchObject({ code: "malformed_request" });
  });
});

describe("the pace", () => {
  test("a body that stalls is given up after the grace and what its bytes were worth", async () => {
    const { open, clock } = make();
    const { stream, send } = client();
    const reading = caught(open(post(stream)).bytes(1000));
    send("0123456789");
    await Bun.sleep(0);
    clock.tick(4);
    send("0123456789");
    await Bun.sleep(0);
    clock.tick(1);
    await Bun.sleep(0);
    expect(await Promise.race([reading, Promise.resolve("still reading")])).toBe("still reading");
    clock.tick(1);
    expect(await reading).toMatchObject({ code: "body_too_slow", status: 408 });
  });

  test("one of a known length that stalls, too", async () => {
    const { open, clock } = make();
    const reading = caught(open(post(client().stream, { "content-length": "20" })).bytes(1000));
    clock.tick(6);
    expect(await reading).toMatchObject({ code: "body_too_slow" });
  });

  test("time in which the server is busy with a body does not count", async () => {
    const { open, clock } = make();
    const { stream, send, end } = client();
    const chunks = open(post(stream)).chunks(1000);
    send("abc");
    expect((await chunks.next()).value).toHaveLength(3);
    clock.tick(100);
    end();
    expect(await chunks.next()).toMatchObject({ done: true });
  });

  test("nobody is looked at when nothing is on its way", async () => {
    const { open, clock } = make();
    await open(post(bytes("abc"), { "content-length": "3" })).bytes(3);
    expect(clock.running).toBe(true);
    clock.tick(1);
    expect(clock.running).toBe(false);
  });
});

describe("the budget", () => {
  test("bytes are held until the request is answered, and one too many is overloaded", async () => {
    const { open, budget } = make(10);
    const first = open(post(bytes("12345678")));
    await first.bytes(100);
    expect(budget.bytes).toBe(8);
    const second = open(post(bytes("123")));
    expect(await caught(second.bytes(100))).toMatchObject({ code: "overloaded", status: 503, retryable: true });
    second.release();
    first.release();
    expect(budget.bytes).toBe(0);
    await open(post(bytes("123"))).bytes(100);
  });

  test("one body larger than all of it goes when it is alone", async () => {
    const { open } = make(10);
    expect(await open(post(threes(30))).bytes(100)).toHaveLength(90);
  });
});
