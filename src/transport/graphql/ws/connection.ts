/**
 * One open socket of graphql-transport-ws: who is at its other end, and the operations that run for them. Nothing here
 * waits; all state is touched in its own turn only.
 * @module
 */
import type { ServerWebSocket } from "bun";
import { type DocumentNode, execute, GraphQLError, getOperationAST, validateSubscriptionArgs } from "graphql";
import type { Authenticator, Principal } from "../../../auth/contract.ts";
import { bearerToken } from "../../../codec/bearer.ts";
import type { ByteBudget } from "../../../core/admission.ts";
import { StreamError, toStreamError } from "../../../core/errors.ts";
import { pushPauseBytes } from "../../../core/limits.ts";
import type { Documents } from "../documents.ts";
import { type GraphqlLog, plainError, requestFault, shownError, shownResult, streamFault } from "../errors.ts";
import type { GraphqlContext } from "../schema.ts";
import { alreadyThere, badMessage, type Close, closes, forbidden } from "./close-codes.ts";
import type { Member } from "./group.ts";
import type { Groups } from "./groups.ts";
import {
  ack,
  type ClientMessage,
  completeTail,
  errorTail,
  headOf,
  InvalidMessage,
  nextTail,
  type OperationRequest,
  parseMessage,
  pong,
} from "./messages.ts";

/** Operations of one socket at a time. */
const operationsMax = 100;
/** Unsent bytes at which a socket is ended: who shares an execution cannot hold it up. */
const unsentBytesMax = 4 * 1024 * 1024;
/** Messages that are gathered for one who is alone before its source pauses. */
const gatheredMax = 256;

/** Counters; called for every message, so they must be cheap. */
export interface GraphqlWsMetrics {
  opened(): void;
  closed(code: number): void;
  received(bytes: number): void;
  sent(bytes: number): void;
}

/** What all connections share. */
export interface ConnectionContext {
  readonly documents: Documents;
  readonly groups: Groups;
  readonly authenticator: Authenticator;
  readonly budget: ByteBudget;
  readonly log: GraphqlLog;
  readonly metrics: GraphqlWsMetrics;
  readonly frameBytesMax: number;
  /** The caller is known from now on. */
  known(connection: Connection, principal: Principal): void;
  stopping(): boolean;
}

/** An operation under way. */
interface Operation {
  /** Ends it; nothing of it is sent any more. */
  end(): void;
}

/** One connection. */
export class Connection {
  /** Set by whatever shows that the client lives; cleared by the heartbeat. */
  alive = true;
  /** Pings that were not answered. */
  silentPings = 0;
  #phase: "new" | "checking" | "ready" | "closed" = "new";
  readonly #operations = new Map<string, Operation>();
  /** Subscriptions whose source is not open yet. */
  readonly #starting = new Set<Promise<void>>();
  #roomy: PromiseWithResolvers<undefined> | undefined;

  /** @param upgraded the caller whom the upgrade showed, if it showed one or nobody needs to */
  constructor(
    private readonly socket: ServerWebSocket<unknown>,
    private readonly context: ConnectionContext,
    private upgraded: Principal | undefined,
  ) {}

  get isReady(): boolean {
    return this.#phase === "ready";
  }

  /** Takes one frame. Never throws. */
  receive(frame: string | Buffer): void {
    if (this.#phase === "closed") return;
    this.alive = true;
    this.context.metrics.received(frame.length);
    if (typeof frame !== "string") {
      this.close(badMessage("Invalid message: only text is read"));
      return;
    }
    if (frame.length > this.context.frameBytesMax) {
      this.close(closes.tooLarge);
      return;
    }
    try {
      this.#take(parseMessage(frame), frame.length);
    } catch (thrown) {
      if (thrown instanceof InvalidMessage) this.close(badMessage(thrown.message));
      else {
        this.context.log.error("graphql_message_failed", { error: thrown });
        this.close({ code: 4500, reason: "Internal server error" });
      }
    }
  }

  /** The socket sent some of what it held. */
  drained(): void {
    this.alive = true;
    if (this.#roomy === undefined || this.socket.getBufferedAmount() > pushPauseBytes) return;
    this.#roomy.resolve(undefined);
    this.#roomy = undefined;
  }

  ping(): void {
    this.socket.ping();
  }

  /** Ends it from this side; what was sent still goes out. Not to be called inside Bun's drain. */
  close({ code, reason }: Close): void {
    this.release();
    this.socket.close(code, reason);
  }

  /** Lets go of everything; also when the client was the one to end it. */
  release(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    for (const operation of this.#operations.values()) operation.end();
    this.#operations.clear();
    this.#roomy?.resolve(undefined);
  }

  #take(message: ClientMessage, bytes: number): void {
    switch (message.type) {
      case "connection_init":
        this.#init(message.payload);
        return;
      case "ping":
        this.#pong(message.payload);
        return;
      case "pong":
        return;
      case "subscribe":
        this.#subscribe(message.id, message.payload, bytes);
        return;
      case "complete":
        this.#operations.get(message.id)?.end();
        this.#operations.delete(message.id);
        return;
    }
  }

  // Who calls.

  #init(payload: Readonly<Record<string, unknown>> | undefined): void {
    if (this.#phase !== "new") {
      this.close(closes.secondInit);
      return;
    }
    this.#phase = "checking";
    const { authenticator } = this.context;
    try {
      const token = authenticator.anonymous === undefined ? tokenOf(payload) : undefined;
      const found = token === undefined ? this.upgraded : authenticator.authenticate(token);
      if (found === undefined)
        throw new StreamError("unauthenticated", "Forbidden: send {authorization: Bearer TOKEN}");
      if (found instanceof Promise) found.then((principal) => this.#become(principal)).catch(this.#refuse);
      else this.#become(found);
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #become(principal: Principal): void {
    if (this.#phase !== "checking") return;
    this.#phase = "ready";
    this.upgraded = principal;
    this.context.known(this, principal);
    this.#write(ack);
  }

  readonly #refuse = (thrown: unknown): void => {
    if (this.#phase === "closed") return;
    this.close(forbidden(toStreamError(thrown).message));
  };

  /** Comes behind the subscriptions that were asked for before it: with the answer they are known to hear everything. */
  #pong(payload: unknown): void {
    if (this.#starting.size === 0) this.#write(pong(payload));
    else void Promise.all(this.#starting).then(() => this.#write(pong(payload)));
  }

  // Operations.

  #subscribe(id: string, request: OperationRequest, bytes: number): void {
    const caller = this.upgraded;
    if (this.#phase !== "ready" || caller === undefined) {
      this.close(closes.notAcknowledged);
      return;
    }
    if (this.#operations.has(id)) {
      this.close(alreadyThere(id));
      return;
    }
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) {
      this.#refuseOperation(id, [streamFault(refusal)]);
      return;
    }
    this.#start(id, request, caller, bytes);
  }

  #refusal(bytes: number): StreamError | undefined {
    if (this.context.stopping()) return new StreamError("shutting_down", "The server is stopping; connect again.");
    if (this.#operations.size >= operationsMax) {
      return new StreamError("too_many_subscriptions", `A connection has at most ${operationsMax} operations.`);
    }
    if (this.context.budget.take(bytes)) return undefined;
    return new StreamError("overloaded", "Too many bytes are under way; try again a little later.");
  }

  #start(id: string, request: OperationRequest, caller: Principal, bytes: number): void {
    const { documents, groups, budget } = this.context;
    const { query, operationName, variables: variableValues } = request;
    const checked = documents.check(query);
    const faults = checked.faults;
    if (checked.document === undefined || faults.length > 0) {
      budget.release(bytes);
      this.#refuseOperation(id, faults);
      return;
    }
    const contextValue: GraphqlContext = { caller };
    const args = { schema: groups.schema, document: checked.document, contextValue, variableValues, operationName };
    if (!isSubscription(checked.document, operationName)) {
      void this.#execute(id, args, bytes);
      return;
    }
    budget.release(bytes);
    const validated = validateSubscriptionArgs(args);
    if (!("schema" in validated)) {
      this.#refuseOperation(id, validated);
      return;
    }
    const member = new SocketMember(this, id);
    const key = checked.isShareable ? JSON.stringify([query, operationName, variableValues]) : undefined;
    const group = groups.join(member, caller, key, validated);
    this.#operations.set(id, { end: () => group.leave(member) });
    this.#starting.add(group.started);
    void group.started.then(() => this.#starting.delete(group.started));
  }

  /** A question: one result. Never rejects. */
  async #execute(id: string, args: Parameters<typeof execute>[0], bytes: number): Promise<void> {
    const aborter = new AbortController();
    const operation: Operation = { end: () => aborter.abort() };
    this.#operations.set(id, operation);
    let tails: readonly string[];
    try {
      const result = await execute({ ...args, abortSignal: aborter.signal });
      tails =
        result.data === undefined
          ? [errorTail(JSON.stringify(this.#plain(result.errors ?? [])))]
          : [nextTail(JSON.stringify(shownResult(result, this.context.log))), completeTail];
    } catch (thrown) {
      tails = [errorTail(JSON.stringify(this.#plain([thrown])))];
    }
    this.context.budget.release(bytes);
    if (this.#operations.get(id) !== operation) return;
    this.#operations.delete(id);
    this.writeAll(headOf(id), tails);
  }

  #refuseOperation(id: string, errors: readonly unknown[]): void {
    this.writeAll(headOf(id), [errorTail(JSON.stringify(this.#plain(errors)))]);
  }

  #plain(errors: readonly unknown[]): readonly unknown[] {
    const shown = errors.length > 0 ? errors : [requestFault(new GraphQLError("The operation was refused."))];
    return shown.map((error) => plainError(shownError(error, this.context.log)));
  }

  /** An operation has had its last message. */
  forget(id: string): void {
    this.#operations.delete(id);
  }

  // Sending.

  /** See `Member.room`. */
  room(waiting: number): Promise<void> | undefined {
    if (this.#phase === "closed") return undefined;
    if (this.socket.getBufferedAmount() > pushPauseBytes) {
      this.#roomy ??= Promise.withResolvers<undefined>();
      return this.#roomy.promise;
    }
    if (waiting < gatheredMax) return undefined;
    return new Promise((resolve) => void setImmediate(resolve));
  }

  /** Writes messages in one piece. */
  writeAll(head: string, tails: readonly string[]): void {
    if (this.#phase === "closed") return;
    const { socket } = this;
    const { metrics } = this.context;
    if (tails.length === 1) {
      const text = head + (tails[0] ?? "");
      socket.sendText(text);
      metrics.sent(text.length);
    } else {
      socket.cork(() => {
        for (const tail of tails) {
          const text = head + tail;
          socket.sendText(text);
          metrics.sent(text.length);
        }
      });
    }
    // Not at once: this may run inside Bun's drain, where a close is not safe.
    if (socket.getBufferedAmount() > unsentBytesMax) setImmediate(() => this.close(closes.tooSlow));
  }

  #write(text: string): void {
    if (this.#phase === "closed") return;
    this.socket.sendText(text);
    this.context.metrics.sent(text.length);
  }
}

/** A subscription of a connection as its group knows it. */
class SocketMember implements Member {
  readonly #head: string;

  constructor(
    private readonly connection: Connection,
    private readonly id: string,
  ) {
    this.#head = headOf(id);
  }

  send(tails: readonly string[]): void {
    if (tails.length > 0) this.connection.writeAll(this.#head, tails);
  }

  over(): void {
    this.connection.forget(this.id);
  }

  room(waiting: number): Promise<void> | undefined {
    return this.connection.room(waiting);
  }
}

/** The token of a connection_init; undefined when it shows none. @throws StreamError `unauthenticated` */
const tokenOf = (payload: Readonly<Record<string, unknown>> | undefined): string | undefined => {
  const raw = payload?.["authorization"] ?? payload?.["Authorization"];
  if (raw === undefined || raw === null) return undefined;
  if (typeof raw !== "string") throw new StreamError("unauthenticated", "authorization must be Bearer TOKEN.");
  return bearerToken(raw);
};

/** Without a name the document has one operation; what is wrong about it shows when it is executed. */
const isSubscription = (document: DocumentNode, operationName: string | undefined): boolean =>
  getOperationAST(document, operationName)?.operation === "subscription";
