/**
 * What a case of the foreign clients gets: a server, a channel to it, and HTTP for what gRPC's clients never had.
 * @module
 */
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { HttpClient } from "../http-client.ts";
import type { TestServer } from "../server.ts";
import { type ForeignChannel, ForeignClient } from "./foreign-client.ts";
import {
  type ChannelOptions,
  type ForeignMessage,
  type Generation,
  GrpcError,
  type Language,
  type Position,
} from "./foreign-shapes.ts";

/** More than any test sends. */
export const largeReceiveBytes = 64 * 1024 * 1024;

/** Given to every group of cases. */
export interface ForeignContext {
  readonly generation: Generation;
  readonly server: () => TestServer;
  readonly client: () => ForeignClient;
  /** The channel that all cases share; its receive limit is `largeReceiveBytes`. */
  readonly channel: () => ForeignChannel;
  /** Another one, closed after the case. Without a limit it takes what a program takes that says nothing: 4 MiB. */
  readonly open: (options?: ChannelOptions) => Promise<ForeignChannel>;
  readonly http: () => HttpClient;
  /** Acknowledges in the way that clients of the generation have: the early ones had no call for it. */
  readonly settle: (position: Position, sequence: number) => Promise<void>;
}

/** Registers the hooks; call inside `describe`. */
export const useForeign = (server: () => TestServer, language: Language, generation: Generation): ForeignContext => {
  let client: ForeignClient | undefined;
  let shared: ForeignChannel | undefined;
  let opened: ForeignChannel[] = [];
  const started = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("the client is started before the first case, not earlier");
    return value;
  };
  beforeAll(async () => {
    client = await ForeignClient.start(language, generation);
    shared = await client.open(server().grpcTarget, { receiveBytesMax: largeReceiveBytes });
  }, 300_000);
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((channel) => channel.close()));
  });
  afterAll(async () => {
    opened = [];
    await client?.[Symbol.asyncDispose]();
  });
  const http = (): HttpClient => new HttpClient(server().url);
  return {
    generation,
    server,
    http,
    client: () => started(client),
    channel: () => started(shared),
    open: async (options) => {
      const channel = await started(client).open(server().grpcTarget, options);
      opened.push(channel);
      return channel;
    },
    settle: async (position, sequence) => {
      if (generation === "later") expect(await started(shared).ack(position, sequence)).toBe(true);
      else await http().ack(position.subject, position.durable, { sequence });
    },
  };
};

/** The call must end with this status and, in its trailers, this stable code. */
export const expectGrpcError = async (call: Promise<unknown>, status: string, code?: string): Promise<GrpcError> => {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in outcome) throw new Error(`expected ${status}, but it was answered: ${JSON.stringify(outcome.value)}`);
  if (!(outcome.error instanceof GrpcError)) throw outcome.error;
  const { error } = outcome;
  expect([error.code, code === undefined ? undefined : error.trailers["mts-code"]]).toEqual([status, code]);
  return error;
};

/**
 * A consumer as it should be written: fetches and acknowledges until nothing more comes, then again at every
 * notification, until it has so many messages.
 */
export const consume = async (
  { channel, settle }: Pick<ForeignContext, "channel" | "settle">,
  position: Position,
  { count, batch }: { readonly count: number; readonly batch: number },
): Promise<readonly ForeignMessage[]> => {
  const received: ForeignMessage[] = [];
  const stream = await channel().subscribe(position);
  while (received.length < count) {
    const { messages } = await channel().fetch(position, { batch });
    const newest = messages.at(-1)?.sequence;
    if (newest === undefined) {
      await stream.reached((received.at(-1)?.sequence ?? 0) + 1);
      continue;
    }
    received.push(...messages);
    await settle(position, newest);
  }
  await stream.cancel();
  expect((await stream.ended()).code).toBe("CANCELLED");
  return received;
};

/** The value of one line of /metrics, labels as written there; 0 when there is no such line. */
export const metric = async (server: TestServer, name: string): Promise<number> => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
};

/** Asks /metrics until the value is this one. */
export const untilMetric = async (server: TestServer, name: string, value: number): Promise<void> => {
  while ((await metric(server, name)) !== value) await Bun.sleep(10);
};
