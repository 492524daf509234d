/**
 * `fetch`: what is there now, or comes within a while.
 * @module
 */
import type { DeliverAs, Mts, Page } from "../client/index.ts";
import { pageBodyBytesMax, pageMessagesDefault, pageMessagesMax, waitMsMax } from "../core/limits.ts";
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
import { damagedText } from "./subscribe.ts";

/** A day; nobody waits longer at a prompt. */
const waitMsCeiling = 24 * 60 * 60 * 1000;
/** Messages asked for at a time when many are wanted. */
const pageMessages = 1000;

export const fetchCommand: Command = {
  name: "fetch",
  usage: "SUBJECT [--from START | --consumer NAME] [--limit N] [--wait 10s] [--deliver AS] [--output HOW]",
  summary: "print stored messages",
  details: `
Without --consumer up to --limit messages from START on (default first). With --consumer one fetch under its name: what
comes after its position, again the same until it is acknowledged (minitoolstream ack, or --auto-ack at once); on an
explicit consumer the messages are leased. An unknown consumer is made, from the first message. One fetch has at most
8 MiB of bodies, but one message at least.

Nothing to print is no error.
${outputDetails}`,
  operands: { min: 1, max: 1 },
  options: {
    from: {
      kind: "text",
      placeholder: "START",
      meaning: "a sequence, first (default), new, last, an age such as 10m, or an RFC 3339 time",
    },
    consumer: { kind: "text", placeholder: "NAME", meaning: "fetch under this name" },
    limit: { kind: "text", placeholder: "N", meaning: `at most N messages; default ${pageMessagesDefault}` },
    wait: {
      kind: "text",
      placeholder: "TIME",
      meaning: "how long to wait when there is nothing, such as 10s; default 0",
    },
    "auto-ack": { kind: "flag", meaning: "acknowledge what comes at once" },
    deliver: deliverOption,
    output: outputOption,
  },
  run: async (given, io) => {
    const server = serverOf(given, io);
    const wanted = wantedFrom(given);
    const output = messageOutput(given, wanted.limit === 1, io);
    return withConnection(server, io, (mts) => fetchAll(mts, wanted, output, io));
  },
};

interface Wanted {
  readonly subject: string;
  readonly from: number | string | undefined;
  readonly consumer: string | undefined;
  readonly limit: number;
  readonly waitMs: number;
  readonly autoAck: boolean;
  readonly deliver: DeliverAs | undefined;
}

const wantedFrom = (given: Given): Wanted => {
  const consumer = given.text("consumer");
  const from = given.from();
  const autoAck = given.flag("auto-ack");
  if (from !== undefined && consumer !== undefined) {
    throw new UsageError("--from and --consumer exclude each other: a consumer has its own position");
  }
  if (autoAck && consumer === undefined) throw new UsageError("--auto-ack needs --consumer NAME");
  const limitMax = consumer === undefined ? Number.MAX_SAFE_INTEGER : pageMessagesMax;
  const waitMs = given.durationMs("wait") ?? 0;
  if (waitMs > waitMsCeiling) throw new UsageError("--wait is a day at most");
  const limit = given.integer("limit", 1, limitMax) ?? pageMessagesDefault;
  return { subject: given.operand(0), from, consumer, limit, waitMs, autoAck, deliver: deliverOf(given) };
};

const fetchAll = async (mts: Mts, wanted: Wanted, output: MessageOutput, io: Io): Promise<number> => {
  let left = wanted.limit;
  let damaged = 0;
  for await (const page of pages(mts, wanted, io)) {
    for (const message of page.messages) {
      if (left-- <= 0) break;
      await output.write(message);
    }
    for (const error of page.damaged) io.stderr(`minitoolstream: ${damagedText(error)}\n`);
    damaged += page.damaged.length;
    if (left <= 0) break;
  }
  await output.flush();
  return damaged > 0 ? 1 : 0;
};

/** The first page is waited for; those after it are what is there already. */
async function* pages(mts: Mts, wanted: Wanted, io: Io): AsyncGenerator<Page, void> {
  let { from, limit } = wanted;
  const deadlineMs = io.nowMs() + wanted.waitMs;
  for (;;) {
    const page = await firstPage(mts, { ...wanted, from, limit }, deadlineMs, io);
    yield page;
    limit -= page.messages.length;
    // A consumer's next fetch would begin where this one did, or lease more than is asked for.
    const isEnd = wanted.consumer !== undefined || page.nextSequence > page.lastSequence;
    if (isEnd || limit <= 0) return;
    from = page.nextSequence;
  }
}

const firstPage = async (mts: Mts, wanted: Wanted, deadlineMs: number, io: Io): Promise<Page> => {
  const { subject, consumer, autoAck, deliver } = wanted;
  let { from } = wanted;
  for (;;) {
    const waitMs = Math.max(0, Math.min(waitMsMax, deadlineMs - io.nowMs()));
    const limit = consumer === undefined ? Math.min(wanted.limit, pageMessages) : wanted.limit;
    const page = await mts.fetch({
      subject,
      limit,
      waitMs,
      maxBytes: pageBodyBytesMax,
      deliver,
      signal: io.stop,
      ...(consumer === undefined ? { from } : { consumer, autoAck }),
    });
    if (page.messages.length > 0 || page.damaged.length > 0 || io.nowMs() >= deadlineMs) return page;
    // `new` means new since the beginning.
    if (consumer === undefined) from = page.nextSequence;
  }
};
