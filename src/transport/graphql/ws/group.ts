/**
 * One execution for all who asked the same with the same rights: the source is opened once, each event is executed and
 * written as JSON once, and only the head with the id differs in what each of them gets.
 * @module
 */
import {
  createSourceEventStream,
  type ExecutionResult,
  executeSubscriptionEvent,
  GraphQLError,
  type ValidatedSubscriptionArgs,
} from "graphql";
import { type GraphqlLog, plainError, shownError, shownResult } from "../errors.ts";
import type { Courier } from "./courier.ts";
import { completeTail, errorTail, nextTail } from "./messages.ts";

/** Who gets what the group has to say. */
export interface Member {
  /** Writes messages, each of them its own head and one of these tails, in one piece. */
  send(tails: readonly string[]): void;
  /** The group has said its last word. */
  over(): void;
  /** A promise when it should get no more at the moment; it resolves when there is room again. */
  room(waiting: number): Promise<void> | undefined;
}

/** What a group works with. */
export interface GroupOptions {
  readonly args: ValidatedSubscriptionArgs;
  readonly courier: Courier;
  readonly log: GraphqlLog;
  /** It is over: nobody may join any more. */
  readonly ended: () => void;
}

/** What one member gets. */
export interface Letter {
  readonly member: Member;
  readonly tails: readonly string[];
}

/** One source and all who hear of it. */
export class Group {
  /** Resolves when the source is open, or could not be opened. */
  readonly started: Promise<void>;
  readonly #options: GroupOptions;
  /** With how many of the gathered tails were there before it came. */
  readonly #members = new Map<Member, number>();
  #source: AsyncIterator<unknown, unknown> | undefined;
  #tails: string[] = [];
  #isHeldUp = false;
  #phase: "open" | "last words" | "over" = "open";

  constructor(options: GroupOptions) {
    this.#options = options;
    this.started = this.#open();
  }

  /** Its only member takes no more at the moment: who joins would wait for it. */
  get isHeldUp(): boolean {
    return this.#isHeldUp;
  }

  join(member: Member): void {
    this.#members.set(member, this.#tails.length);
  }

  /** The last one who leaves closes the source. */
  leave(member: Member): void {
    if (this.#members.delete(member) && this.#members.size === 0) this.#end();
  }

  /** What was gathered, for each member; nothing of it comes again. Taken to the end before it is asked for again. */
  *letters(): Generator<Letter, void> {
    const tails = this.#tails;
    this.#tails = [];
    const members = [...this.#members];
    for (const [member] of members) this.#members.set(member, 0);
    const isLast = this.#phase === "last words";
    for (const [member, skipped] of members) {
      if (this.#members.has(member)) yield { member, tails: skipped === 0 ? tails : tails.slice(skipped) };
    }
    if (!isLast) return;
    const told = [...this.#members.keys()];
    this.#members.clear();
    this.#end();
    for (const member of told) member.over();
  }

  async #open(): Promise<void> {
    try {
      // Not before somebody has joined: who comes later does not hear of a failure.
      const source = await Promise.resolve(this.#options.args).then(createSourceEventStream);
      if (!(Symbol.asyncIterator in source)) {
        this.#fail(source.errors ?? []);
        return;
      }
      this.#source = source[Symbol.asyncIterator]();
      if (this.#phase === "over") void this.#source.return?.();
      else void this.#run(this.#source);
    } catch (thrown) {
      this.#fail([thrown]);
    }
  }

  /** Never rejects. */
  async #run(source: AsyncIterator<unknown, unknown>): Promise<void> {
    try {
      for (;;) {
        const { done, value }: IteratorResult<unknown, unknown> = await source.next();
        if (this.#phase === "over") return;
        if (done === true) break;
        const executed = executeSubscriptionEvent({ ...this.#options.args, rootValue: value });
        const result: ExecutionResult = executed instanceof Promise ? await executed : executed;
        this.#tell(nextTail(JSON.stringify(shownResult(result, this.#options.log))));
        const room = this.#roomOfOnly();
        if (room === undefined) continue;
        this.#isHeldUp = true;
        await room;
        this.#isHeldUp = false;
      }
      this.#last(completeTail);
    } catch (thrown) {
      this.#fail([thrown]);
    }
  }

  /** One who is alone decides the pace: behind a cursor there may be a million events. */
  #roomOfOnly(): Promise<void> | undefined {
    if (this.#members.size !== 1) return undefined;
    for (const member of this.#members.keys()) return member.room(this.#tails.length);
    return undefined;
  }

  #tell(tail: string): void {
    if (this.#phase !== "open") return;
    this.#tails.push(tail);
    this.#options.courier.soon(this);
  }

  #fail(errors: readonly unknown[]): void {
    const shown = errors.map((error) => plainError(shownError(error, this.#options.log)));
    const some = shown.length > 0 ? shown : [plainError(new GraphQLError("The subscription could not be started."))];
    this.#last(errorTail(JSON.stringify(some)));
  }

  #last(tail: string): void {
    if (this.#phase !== "open") return;
    this.#tell(tail);
    this.#phase = "last words";
    this.#options.ended();
  }

  #end(): void {
    if (this.#phase === "over") return;
    if (this.#phase === "open") this.#options.ended();
    this.#phase = "over";
    this.#tails = [];
    void this.#source?.return?.();
  }
}
