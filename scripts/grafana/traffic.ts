/**
 * A little of everything that a server counts, over and over, so that every panel of the dashboard has something to show:
 * publishes in all ways that go well and that fail, reads, leases, slow readers, events, deletions, failing calls.
 * @module
 */

import { GrpcClient } from "../../src/testing/grpc-client.ts";
import { subjectPath } from "../../src/testing/http-client.ts";
import { WsClient } from "../../src/testing/ws-client.ts";

/** Where it goes. */
export interface TrafficTarget {
  readonly url: string;
  readonly wsUrl: string;
  readonly grpcTarget: string;
}

const pointerType = "application/vnd.s3-pointer+json";
/** Between two rounds; a server under test shares its cores with everything else. */
const pauseMs = 50;

/** Traffic until it is closed. */
export class Traffic implements AsyncDisposable {
  /** Messages that were published to `orders` and answered, duplicates not counted. */
  published = 0;
  readonly #target: TrafficTarget;
  readonly #ws: WsClient;
  readonly #grpc: GrpcClient;
  readonly #running: Promise<void>;
  #isOpen = true;

  private constructor(target: TrafficTarget, ws: WsClient, grpc: GrpcClient) {
    this.#target = target;
    this.#ws = ws;
    this.#grpc = grpc;
    this.#running = this.#run();
  }

  static async start(target: TrafficTarget): Promise<Traffic> {
    const ws = await WsClient.connect(target.wsUrl);
    return new Traffic(target, ws, new GrpcClient(target.grpcTarget));
  }

  /** Ends it after the round that is under way. @throws Error what went wrong in it */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    await this.#running;
    await this.#ws.close();
    await this.#grpc.close();
  }

  async #run(): Promise<void> {
    await this.#ask("PUT", "/v1/policies/short", { max_messages: 1 });
    await this.#ask("PUT", "/v1/subjects/orders/consumers/slow", { ack: "explicit", max_ack_pending: 10 });
    await this.#ws.subscribe("orders");
    for (let round = 1; this.#isOpen; round++) {
      await this.#publish(round);
      await this.#read();
      await this.#fail();
      await this.#events(round);
      await Bun.sleep(pauseMs);
    }
  }

  async #publish(round: number): Promise<void> {
    const path = `${subjectPath("orders")}/messages`;
    for (const expected of [201, 200]) {
      const response = await this.#send("POST", path, "a", { "idempotency-key": `round ${round}` });
      if (response.status !== expected) throw new Error(`a publish was answered ${response.status}`);
    }
    await this.#ws.publish({ subject: "orders", body: "b" });
    await this.#grpc.publish({ subject: "orders", body: "c" });
    this.published += 3;
    // Later, never, and soon deleted.
    await this.#send("POST", `${subjectPath("later")}/messages`, "d", { delay: "1h" });
    await this.#send("POST", path, "e", { "expected-last-sequence": "0" });
    await this.#send("POST", `${subjectPath("short")}/messages`, "f".repeat(300_000));
  }

  async #read(): Promise<void> {
    await this.#send("GET", `${subjectPath("orders")}/messages?limit=5`);
    await this.#ask("POST", "/v1/subjects/orders/consumers/slow/fetch", { limit: 1 });
    await this.#ask("POST", "/v1/subjects/orders/consumers/quick/fetch", { limit: 100, auto_ack: true });
    await this.#send("GET", "/v1/subjects/orders/consumers/slow/peek");
  }

  /** What a store refuses, what a socket is told, and a socket that ends. */
  async #fail(): Promise<void> {
    await this.#ask("POST", "/v1/subjects/orders/consumers/nobody/redrive", { limit: 1 });
    // An upload to which nothing was put.
    const opened = await this.#ask("POST", "/v1/subjects/orders/uploads", { length: 1, sha256: "0".repeat(64) });
    const { format, bucket, key, length, sha256 } = JSON.parse(opened) as Readonly<Record<string, unknown>>;
    const pointer = JSON.stringify({ format, bucket, key, length, sha256 });
    await this.#send("POST", `${subjectPath("orders")}/messages`, pointer, { "content-type": pointerType });
    await this.#ws.publish({ subject: "no subject", body: "" }).catch(() => undefined);
    await (await WsClient.connect(this.#target.wsUrl)).close();
  }

  async #events(round: number): Promise<void> {
    const types = ["purchase", "return", "refund"];
    // In the minute before, which is whole.
    const timestamp = new Date(Date.now() - 60_000).toISOString();
    const event = { user_id: "ann", event_type: types[round % types.length], amount: "12.34", timestamp };
    await this.#ask("POST", "/events", event);
  }

  /** Sends JSON; the text of the answer, whatever it says. */
  async #ask(method: string, path: string, body: unknown): Promise<string> {
    return (await this.#send(method, path, JSON.stringify(body), { "content-type": "application/json" })).text;
  }

  async #send(
    method: string,
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(this.#target.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    return { status: response.status, text: await response.text() };
  }
}
