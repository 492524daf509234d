/**
 * `publish`: files, standard input, or the lines of either.
 * @module
 */
import { sequenceMax } from "../../core/limits.ts";
import { type Command, UsageError } from "../command.ts";
import { withConnection } from "../connection.ts";
import { type Io, untilStopped } from "../io.ts";
import type { Given } from "../options.ts";
import { serverOf } from "../server.ts";
import { parseHeaderOptions } from "./headers.ts";
import { Publication } from "./publication.ts";
import { findSources, type Source, standardInput } from "./sources.ts";
import { parseTiming, timingOptions } from "./timing.ts";
import { PublishView } from "./view.ts";

export const publishCommand: Command = {
  name: "publish",
  usage: "SUBJECT [FILE...|-] [--header NAME=VALUE]... [--lines]",
  summary: "publish files, standard input or lines",
  details: `
Every FILE is one message with the headers filename (without its folders) and content-type (by its ending); - is
standard input as one message. Without a FILE standard input is read when it is not a terminal. With --lines every line
is one message, without its \\n; empty lines too. Files are published in the order given.

Prints SUBJECT SEQUENCE for each message once it is on stable storage, and for one that is committed later SUBJECT
scheduled TIME ID. After a failure nothing more is sent. With --wait each line also says how many recipients have
acknowledged the message; the exit code is 1 when that were too few in time.

  minitoolstream publish docs.readme README.md LICENSE
  tail -F app.log | minitoolstream publish logs.app --lines --quiet`,
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  options: {
    header: { kind: "texts", placeholder: "NAME=VALUE", meaning: "a header of every message; may be repeated" },
    lines: { kind: "flag", meaning: "every line is one message" },
    "message-id": {
      kind: "text",
      placeholder: "ID",
      meaning: "a second publish under it answers the first one's sequence (one message only)",
    },
    "expected-last": {
      kind: "text",
      placeholder: "N",
      meaning: "publish only when N is the subject's last sequence, the next when it is N+1 … (one at a time)",
    },
    ...timingOptions,
    json: { kind: "flag", meaning: "print a JSON object for each message" },
    quiet: { kind: "flag", meaning: "print nothing for what went well" },
  },
  run: async (given, io) => {
    const server = serverOf(given, io);
    const subject = given.operand(0);
    const headers = parseHeaderOptions(given.texts("header"));
    const messageId = given.text("message-id");
    const expectedLast = given.integer("expected-last", 0, sequenceMax);
    const timing = parseTiming(given, expectedLast !== undefined);
    const operands = sourceOperands(given, io);
    if (messageId !== undefined && (operands.length > 1 || given.flag("lines"))) {
      throw new UsageError("--message-id is for one message; here are several");
    }
    const sources = await findSources(operands, io);
    const view = new PublishView(io, given, totalsOf(sources, given.flag("lines")));
    return withConnection(server, io, async (mts) => {
      const publication = new Publication({ mts, server, io, subject, headers, messageId, expectedLast, timing, view });
      await untilStopped(io, publishAll(publication, sources, given.flag("lines"), view)).finally(() => view.clear());
      return view.unacknowledged > 0 ? 1 : 0;
    });
  },
};

const publishAll = async (
  publication: Publication,
  sources: readonly Source[],
  isLines: boolean,
  view: PublishView,
): Promise<void> => {
  try {
    for (const source of sources) {
      if (isLines) await publication.lines(source);
      else await publication.whole(source);
    }
  } finally {
    // What was sent before a failure is stored, and said to be.
    await publication.settled().finally(() => view.end());
  }
};

const sourceOperands = (given: Given, io: Io): readonly string[] => {
  const operands = given.operands.slice(1);
  if (operands.filter((operand) => operand === standardInput).length > 1) {
    throw new UsageError("- stands for standard input, which can be read once only");
  }
  if (operands.length > 0) return operands;
  if (io.stdinIsTerminal) throw new UsageError("publish what? Name a FILE, or - to type the message (end with Ctrl-D)");
  return [standardInput];
};

const totalsOf = (
  sources: readonly Source[],
  isLines: boolean,
): { readonly bytesTotal: number | undefined; readonly messagesTotal: number | undefined } => {
  const known = sources.map(({ bytes }) => bytes).filter((bytes) => bytes !== undefined);
  return {
    bytesTotal: known.length === sources.length ? known.reduce((sum, bytes) => sum + bytes, 0) : undefined,
    messagesTotal: isLines ? undefined : sources.length,
  };
};
