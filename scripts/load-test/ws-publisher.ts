/**
 * A publisher over WebSocket: keeps a window of messages under way, packs whatever a turn allows into one write, and
 * reads of the answers only what it needs.
 * @module
 */

import type { BodyPool } from "./bodies.ts";
import { nowUs } from "./clock.ts";
import { PublishPacker } from "./frames.ts";
import type { Lane, Publisher } from "./lane.ts";
import type { Plan } from "./plan.ts";
import { frameHeadBytesMax, RawWebSocket, writeFrameHead } from "./raw-ws.ts";
import { readResults } from "./results.ts";
import { Scanner, word } from "./scan.ts";
import { wsUrl } from "./target.ts";

const binaryOpcode = 2;
/** Ids are a slot and how often it was used, so that a late or repeated answer is not taken for another. */
const idMax = 2 ** 32;

/** One connection that publishes. */
export class WsPublisher implements Publisher {
  readonly #scanner = new Scanner();
  readonly #packer: PublishPacker;
  readonly #batch: number;
  /** Per slot: the id under way (-1: free), the first message number, how many, and when they were sent. */
  readonly #ids: Float64Array;
  readonly #firsts: Float64Array;
  readonly #counts: Int32Array;
  readonly #sentUs: Float64Array;
  readonly #uses: Int32Array;
  readonly #free: number[];
  #ws: RawWebSocket | undefined;
  #open = false;
  /** When the read that is being worked on arrived. */
  #arrivedUs = 0;

  private constructor(
    plan: Plan,
    readonly lane: Lane,
    pool: BodyPool,
  ) {
    this.#packer = new PublishPacker(plan.subjects, pool, lane.id);
    this.#batch = Math.min(plan.batch, plan.window);
    const slots = Math.floor(plan.window / this.#batch);
    this.#ids = new Float64Array(slots).fill(-1);
    this.#firsts = new Float64Array(slots);
    this.#counts = new Int32Array(slots);
    this.#sentUs = new Float64Array(slots);
    this.#uses = new Int32Array(slots);
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
  }

  /** Connects. Rejects when the server does not answer. */
  static async connect(plan: Plan, lane: Lane, pool: BodyPool): Promise<WsPublisher> {
    const publisher = new WsPublisher(plan, lane, pool);
    publisher.#ws = await RawWebSocket.connect(wsUrl(plan.url), "mts.msgpack.v1", {
      message: (bytes, start, end) => publisher.#message(bytes, start, end),
      turn: () => {
        publisher.#arrivedUs = 0;
        publisher.pump();
      },
      writable: () => publisher.pump(),
      closed: (reason, detail) => publisher.#closed(reason, detail),
    });
    publisher.#open = true;
    return publisher;
  }

  get underWay(): number {
    return this.#ids.length - this.#free.length;
  }

  pump(): void {
    const socket = this.#ws?.socket;
    if (socket === undefined || !this.#open) return;
    const { lane } = this;
    while (this.#free.length > 0) {
      const now = nowUs();
      const count = lane.due(this.#batch, now);
      if (count === 0) break;
      const bytes = this.#frameBytes(count);
      // What is there leaves first. When all of it could leave, nothing will call back: go on at once.
      if (!socket.reserve(bytes + frameHeadBytesMax)) {
        socket.flush();
        if (socket.closed || !socket.reserve(bytes + frameHeadBytesMax)) break;
      }
      const at = writeFrameHead(socket.out, socket.outEnd, binaryOpcode, bytes);
      socket.outEnd = this.#pack(socket.out, at, count, now);
      lane.next += count;
    }
    socket.flush();
  }

  close(): void {
    this.#open = false;
    this.#giveUp("no_answer");
    this.#ws?.close();
  }

  #frameBytes(count: number): number {
    const { next } = this.lane;
    return this.#batch === 1 ? this.#packer.singleBytes(next) : this.#packer.batchBytes(next, count);
  }

  #pack(out: Buffer, at: number, count: number, now: number): number {
    const { next } = this.lane;
    const slot = this.#free.pop() ?? 0;
    const id = this.#newId(slot);
    this.#ids[slot] = id;
    this.#firsts[slot] = next;
    this.#counts[slot] = count;
    this.#sentUs[slot] = now;
    if (this.#batch === 1) return this.#packer.single(out, at, id, next, this.lane.intendedUs(next, now));
    const sentUs: number[] = [];
    for (let i = 0; i < count; i++) sentUs.push(this.lane.intendedUs(next + i, now));
    return this.#packer.batch(out, at, id, next, sentUs);
  }

  #newId(slot: number): number {
    const uses = this.#uses[slot] ?? 0;
    const id = uses * this.#ids.length + slot;
    this.#uses[slot] = id + this.#ids.length < idMax ? uses + 1 : 0;
    return id;
  }

  #message(bytes: Buffer, start: number, end: number): void {
    if (this.#arrivedUs === 0) this.#arrivedUs = nowUs();
    const scanner = this.#scanner;
    scanner.over(bytes, start, end);
    let op = 0;
    let id = -1;
    let sequence = 0;
    let resultsAt = -1;
    let code = "";
    let detail: string | undefined;
    for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
      switch (scanner.word()) {
        case word.op:
          op = scanner.word();
          break;
        case word.id:
          id = scanner.integer();
          break;
        case word.sequence:
          sequence = scanner.integer();
          break;
        case word.code:
          code = scanner.text();
          break;
        case word.detail:
          detail = scanner.text();
          break;
        case word.results:
          resultsAt = scanner.at;
          scanner.skip();
          break;
        default:
          scanner.skip();
      }
    }
    if (op === word.published) this.#published(id, sequence);
    else if (op === word.published_batch) this.#results(id, resultsAt);
    else if (op === word.error) this.#refused(id, code, detail);
  }

  #published(id: number, sequence: number): void {
    const slot = this.#slot(id);
    if (slot < 0) return;
    const number = this.#firsts[slot] ?? 0;
    this.lane.acked(number, sequence, this.#intendedUs(slot, number), this.#arrivedUs);
  }

  #results(id: number, resultsAt: number): void {
    const slot = this.#slot(id);
    if (slot < 0) return;
    const first = this.#firsts[slot] ?? 0;
    this.#scanner.at = resultsAt;
    readResults(this.#scanner, this.#counts[slot] ?? 0, {
      acked: (i, sequence) => this.lane.acked(first + i, sequence, this.#intendedUs(slot, first + i), this.#arrivedUs),
      refused: (i, code) => this.lane.notAcked(first + i, 1, code),
    });
  }

  #refused(id: number, code: string, detail: string | undefined): void {
    if (id < 0) {
      this.lane.tally.error(code, 0, detail);
      return;
    }
    const slot = this.#slot(id);
    if (slot >= 0) this.lane.notAcked(this.#firsts[slot] ?? 0, this.#counts[slot] ?? 0, code, detail);
  }

  #intendedUs(slot: number, number: number): number {
    return this.lane.intendedUs(number, this.#sentUs[slot] ?? 0);
  }

  /** The slot of an answer, free again; -1 (and an error) when nothing was asked under the id. */
  #slot(id: number): number {
    const slot = id % this.#ids.length;
    if (this.#ids[slot] !== id) {
      this.lane.tally.error("unexpected_answer", 1, `nothing was under way with the id ${id}`);
      return -1;
    }
    this.#ids[slot] = -1;
    this.#free.push(slot);
    return slot;
  }

  #closed(reason: string, detail: string | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.lane.stopped = true;
    this.lane.tally.broken++;
    this.#giveUp(reason, detail);
  }

  #giveUp(code: string, detail?: string): void {
    for (let slot = 0; slot < this.#ids.length; slot++) {
      if (this.#ids[slot] === -1) continue;
      this.#ids[slot] = -1;
      this.#free.push(slot);
      this.lane.notAcked(this.#firsts[slot] ?? 0, this.#counts[slot] ?? 0, code, detail);
    }
  }
}
