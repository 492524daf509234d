/**
 * A branch: a process of its own that fetches pointers under its name, downloads the documents, books and acknowledges
 * them. It may die at any moment: what was not acknowledged comes again, and its books tell what it has booked.
 * @module
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Booking, BranchOrder, BranchPlan, BranchReport } from "./branch-plan.ts";
import { type Document, sha256Hex, totalOf } from "./document.ts";
import { isPassing, type PointedMessage, type Pointer, persist, subjectPath, Wire } from "./wire.ts";

/** Documents leased at a time: while one is worked on, the next is there already. */
const fetchLimit = 2;
const waitMs = 1000;
const attemptsMax = 5;
/** A document that cannot be booked now comes again after so long. */
const nackMs = 500;

const report = (message: BranchReport): void => {
  process.send?.(message);
};

/** What is booked, on disk before it is acknowledged, so that no document is booked twice. */
class Books {
  readonly #file: number;
  readonly #sequences: Set<number>;

  constructor(path: string) {
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
    this.#sequences = new Set(
      lines.filter((line) => line !== "").map((line) => (JSON.parse(line) as Booking).sequence),
    );
    this.#file = openSync(path, "a");
  }

  has(sequence: number): boolean {
    return this.#sequences.has(sequence);
  }

  add(booking: Booking): void {
    writeSync(this.#file, `${JSON.stringify(booking)}\n`);
    fsyncSync(this.#file);
    this.#sequences.add(booking.sequence);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Undoes codings, the last that was applied first. */
const unpack = (bytes: Uint8Array<ArrayBuffer>, codings: readonly string[]): Uint8Array<ArrayBuffer> =>
  codings.toReversed().reduce((packed, coding) => {
    switch (coding) {
      case "gzip":
        return Bun.gunzipSync(packed);
      case "zstd":
        return new Uint8Array(Bun.zstdDecompressSync(packed));
      default:
        throw new Error(`the coding ${coding} is not known here`);
    }
  }, bytes);

/** The document that a pointer leads to. @throws Error when its bytes are not those that were published */
const download = async (wire: Wire, pointer: Pointer): Promise<{ bytes: number; json: Uint8Array<ArrayBuffer> }> => {
  const codings = (pointer.content_encoding ?? "").split(",").flatMap((coding) => coding.trim() || []);
  const stored = await persist(attemptsMax, () => wire.download(pointer));
  // A store that compresses adds a coding of its own, which the checksum does not include.
  const isPacked = stored.length !== pointer.size && codings.at(-1) === "zstd";
  const body = isPacked ? unpack(stored, ["zstd"]) : stored;
  if (body.length !== pointer.size) throw new Error(`${pointer.key} has ${body.length} bytes, not ${pointer.size}`);
  const sha256 = sha256Hex(body);
  if (sha256 !== pointer.sha256) throw new Error(`${pointer.key} has the SHA-256 ${sha256}, not ${pointer.sha256}`);
  return { bytes: body.length, json: unpack(body, isPacked ? codings.slice(0, -1) : codings) };
};

class Branch {
  readonly #plan: BranchPlan;
  readonly #wire: Wire;
  readonly #path: string;
  readonly #books: Books;
  #stopping = false;
  #documents = 0;

  constructor(plan: BranchPlan) {
    this.#plan = plan;
    this.#wire = new Wire(plan.url);
    this.#path = `${subjectPath(plan.subject)}/consumers/${encodeURIComponent(plan.name)}`;
    this.#books = new Books(plan.booksPath);
  }

  /** Finishes the documents that it has leased. */
  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    while (!this.#stopping) {
      for (const message of await this.#fetch()) await this.#handle(message);
    }
    this.#books.close();
  }

  async #fetch(): Promise<readonly PointedMessage[]> {
    try {
      const request = { limit: fetchLimit, wait_ms: waitMs, deliver: "pointer" };
      const page = await this.#wire.json<{ readonly messages: readonly PointedMessage[] }>(
        "POST",
        `${this.#path}/fetch`,
        request,
      );
      return page.messages;
    } catch (error) {
      if (!isPassing(error)) throw error;
      await Bun.sleep(nackMs);
      return [];
    }
  }

  async #handle({ sequence, deliveries, pointer }: PointedMessage): Promise<void> {
    report({ kind: "received", sequence, deliveries });
    // Booked before it died, and not acknowledged.
    if (!this.#books.has(sequence)) {
      try {
        await this.#work(sequence, pointer);
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        report({ kind: "failed", detail: `message ${sequence}: ${detail}` });
        const nack = { sequences: [sequence], delay_ms: nackMs, error: detail.slice(0, 500) };
        await persist(attemptsMax, () => this.#wire.json("POST", `${this.#path}/nack`, nack));
        return;
      }
    }
    await persist(attemptsMax, () => this.#wire.json("POST", `${this.#path}/ack`, { sequences: [sequence] }));
    report({ kind: "acked", sequence, atMs: performance.timeOrigin + performance.now() });
  }

  async #work(sequence: number, pointer: Pointer): Promise<void> {
    const { bytes, json } = await download(this.#wire, pointer);
    report({ kind: "verified", sequence, bytes });
    const document = JSON.parse(new TextDecoder().decode(json)) as Document;
    const totalCents = totalOf(document.lines);
    if (totalCents !== document.totalCents) throw new Error(`document ${document.number} does not add up`);
    if (++this.#documents === this.#plan.holdAt) {
      report({ kind: "holding", sequence });
      await new Promise<never>(() => undefined);
    }
    if (this.#plan.slowMs > 0) await Bun.sleep(this.#plan.slowMs);
    const booking = { sequence, number: document.number, totalCents, sha256: sha256Hex(json) };
    this.#books.add(booking);
    report({ kind: "booked", booking });
  }
}

if (import.meta.main) {
  // Ctrl-C reaches all processes of a terminal; what it means is for the first one to say.
  process.on("SIGINT", () => undefined);
  // A branch does not outlive the demo.
  process.on("disconnect", () => process.exit(0));
  let branch: Branch | undefined;
  process.on("message", (order: BranchOrder) => {
    if (order.kind === "stop") {
      branch?.stop();
      if (branch === undefined) process.exit(0);
      return;
    }
    branch = new Branch(order.plan);
    branch.run().then(
      () => process.exit(0),
      (error: unknown) => {
        report({ kind: "failed", detail: error instanceof Error ? error.message : String(error) });
        process.exit(1);
      },
    );
  });
  report({ kind: "ready" });
}
