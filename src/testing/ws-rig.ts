/**
 * The WebSocket transport alone, over real stores in a folder of its own, with timers that the test turns.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Authenticator, Principal } from "../auth/contract.ts";
import { openFileBodies } from "../bodies/files/index.ts";
import { createBroker } from "../broker/index.ts";
import { ByteBudget } from "../core/admission.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";
import { createWsTransport, type SocketState, type WsTimers, type WsTransport } from "../transport/ws/index.ts";

const bodyBytesMax = 1024;

/** Intervals and deadlines that come when the test says so. */
export class ManualTimers implements WsTimers {
  readonly ticks: (() => void)[] = [];
  readonly deadlines = new Set<() => void>();

  every(_ms: number, tick: () => void): () => void {
    this.ticks.push(tick);
    return () => this.ticks.splice(this.ticks.indexOf(tick), 1);
  }

  after(_ms: number, then: () => void): () => void {
    this.deadlines.add(then);
    return () => this.deadlines.delete(then);
  }

  /** One whole heartbeat interval; connections are spread over its ticks. */
  beat(): void {
    for (let i = 0; i < 16; i++) for (const tick of this.ticks) tick();
  }
}

/** The running transport. */
export interface WsRig<A extends Authenticator> {
  readonly timers: ManualTimers;
  readonly authenticator: A;
  readonly ws: WsTransport;
  readonly url: string;
  stop(): Promise<void>;
}

/** @param authenticatorFor makes the authenticator; it is given a principal that may do everything */
export const startWsRig = async <A extends Authenticator>(
  authenticatorFor: (principal: Principal) => A,
): Promise<WsRig<A>> => {
  const folder = await mkdtemp(join(tmpdir(), "mts-ws-"));
  const metadata = await openSqliteMetadata({ path: ":memory:", clock: Date.now, dedupeWindowMs: 1000 });
  const bodies = await openFileBodies({ path: join(folder, "bodies") });
  const broker = createBroker({ metadata, bodies, bodyBytesMax });
  const timers = new ManualTimers();
  const authenticator = authenticatorFor({
    clientId: "c",
    expiresAt: Number.POSITIVE_INFINITY,
    broker,
    publishRefusal: () => undefined,
    adopt: () => undefined,
  });
  const ws = createWsTransport({
    broker,
    budget: new ByteBudget(1024 * 1024),
    socketsPerAddressMax: 0,
    authenticator,
    allowedOrigins: [],
    version: "1",
    node: "n",
    bodyBytesMax,
    log: { error: () => undefined },
    timers,
  });
  const server = Bun.serve<SocketState>({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, bunServer) => ws.upgrade(request, bunServer),
    websocket: ws.handlers,
  });
  return {
    timers,
    authenticator,
    ws,
    url: `ws://127.0.0.1:${server.port}/v1/ws`,
    async stop() {
      await broker.drain();
      await ws.closeAll(3001, "over");
      await server.stop(true);
      await bodies.close();
      await metadata.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
