/**
 * `subscribe`: messages as they come, until Ctrl-C or a number of them.
 * @module
 */
import { type DeliverAs, type Message, type Mts, MtsError } from "../client/index.ts";
import { type Command, UsageError } from "./command.ts";
import { withConnection } from "./connection.ts";
import type { Io } from "./io.ts";
import {
  deliverOf,
  deliverOption,
  type MessageOutput,
  messageOutput,
  outputDetails,
  outputOption,
} from "./message-output.ts";
import type { Given } from "./options.ts";
import { serverOf } from "./server.ts";

const creditDefault = 1024;
const creditMax = 65_535;
/** Acknowledgements that are not answered yet. */
const acksMax = 1024;

export const subscribeCommand: Command = {
  name: "subscribe",
  usage: "FILTER [--from START | --consumer NAME] [--count N] [--deliver AS] [--output HOW]",
  summary: "print messages as they come",
  details: `
FILTER is a subject, in which * stands for one token and a last > for one or more. Reconnects by itself and goes on
without gap or repeat. Ctrl-C ends it (exit code 0).

With --consumer it resumes after what the consumer has acknowledged, and acknowledges each message once it was written;
--no-ack leaves that out. The consumer is made, from the first message, when it is not there.
${outputDetails}

  minitoolstream subscribe 'sensors.>' --from 10m
  minitoolstream subscribe photos.inbox --consumer saver --output ./photos`,
  operands: { min: 1, max: 1 },
  options: {
    from: {
      kind: "text",
      placeholder: "START",
      meaning: "a sequence, first, new (default), last, an age such as 10m, or an RFC 3339 time",
    },
    consumer: { kind: "text", placeholder: "NAME", meaning: "a durable position; needs a filter without wildcards" },
    ack: { kind: "flag", meaning: "acknowledge what was written (the default with --consumer)" },
    "no-ack": { kind: "flag", meaning: "acknowledge nothing" },
    count: { kind: "text", placeholder: "N", meaning: "end after N messages" },
    credit: {
      kind: "text",
      placeholder: "N",
      meaning: `messages on their way at once, 1 to ${creditMax}; default ${creditDefault}`,
    },
    deliver: deliverOption,
    output: outputOption,
  },
  run: async (given, io) => {
    const server = serverOf(given, io);
    const wanted = wantedFrom(given);
    const output = messageOutput(given, wanted.count === 1, io);
    return withConnection(server, io, (mts) => follow(mts, wanted, output, io));
  },
};

interface Wanted {
  readonly filter: string;
  readonly from: number | string | undefined;
  readonly consumer: string | undefined;
  readonly acknowledges: boolean;
  readonly count: number;
  readonly credit: number;
  readonly deliver: DeliverAs | undefined;
}

const wantedFrom = (given: Given): Wanted => {
  const consumer = given.text("consumer");
  const from = given.from();
  if (given.flag("ack") && consumer === undefined) throw new UsageError("--ack needs --consumer NAME");
  if (given.flag("ack") && given.flag("no-ack")) throw new UsageError("--ack and --no-ack exclude each other");
  if (from !== undefined && consumer !== undefined) {
    throw new UsageError("--from and --consumer exclude each other: a consumer has its own position");
  }
  const count = given.integer("count", 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
  const credit = given.integer("credit", 1, creditMax) ?? creditDefault;
  return {
    filter: given.operand(0),
    from,
    consumer,
    acknowledges: consumer !== undefined && !given.flag("no-ack"),
    count,
    // What is not printed should not be leased either.
    credit: Math.min(credit, count),
    deliver: deliverOf(given),
  };
};

const follow = async (mts: Mts, wanted: Wanted, output: MessageOutput, io: Io): Promise<number> => {
  const { filter, from, consumer, credit, count, deliver } = wanted;
  let damaged = 0;
  const onDamaged = (error: MtsError): void => {
    damaged++;
    io.stderr(`minitoolstream: ${damagedText(error)}\n`);
  };
  const acks = new Acks();
  try {
    let received = 0;
    const options = { from, consumer, credit, deliver, onDamaged, signal: io.stop };
    for await (const message of mts.subscribe(filter, options)) {
      await output.write(message);
      if (wanted.acknowledges) {
        // Acknowledged means that the reader has it, not that we do.
        await output.flush();
        await acks.add(message);
      }
      if (++received >= count) break;
    }
    await acks.settled();
  } catch (thrown) {
    if (!(thrown instanceof MtsError && thrown.code === "aborted" && io.stop.aborted)) throw thrown;
  }
  await output.flush();
  return damaged > 0 ? 1 : 0;
};

/** One message that the server cannot read any more. */
export const damagedText = (error: MtsError): string => {
  const { subject, sequence } = error.fields;
  return `${String(subject)} ${String(sequence)} was left out: ${error.message} (${error.code})`;
};

/** Acknowledgements under way; the SDK joins those of one moment. */
class Acks {
  readonly #waiting = new Set<Promise<void>>();
  #failure: { readonly thrown: unknown } | undefined;

  /** Resolves when there is room for another. @throws the first failure */
  async add(message: Message): Promise<void> {
    this.#throwFailure();
    const ack = message
      .ack()
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
      })
      .finally(() => this.#waiting.delete(ack));
    this.#waiting.add(ack);
    if (this.#waiting.size >= acksMax) await Promise.race(this.#waiting);
  }

  /** @throws the first failure */
  async settled(): Promise<void> {
    await Promise.all(this.#waiting);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}
