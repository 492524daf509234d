/**
 * `ack`: acknowledges by number.
 * @module
 */
import { sequenceMax } from "../core/limits.ts";
import { CliFailure, type Command } from "./command.ts";
import { withConnection } from "./connection.ts";
import { parseInteger } from "./options.ts";
import { serverOf } from "./server.ts";

export const ackCommand: Command = {
  name: "ack",
  usage: "SUBJECT CONSUMER SEQUENCE...",
  summary: "acknowledge messages under a consumer's name",
  details: `
A consumer of the kind all is acknowledged through one SEQUENCE, everything before it included. On an explicit one
exactly the given messages are, or, with --through, everything up to one.`,
  operands: { min: 3, max: Number.POSITIVE_INFINITY },
  options: {
    through: { kind: "flag", meaning: "everything up to SEQUENCE, on an explicit consumer too" },
    json: { kind: "flag", meaning: "print one JSON object" },
  },
  run: async (given, io) => {
    const [subject, consumer] = [given.operand(0), given.operand(1)];
    const sequences = given.operands.slice(2).map((raw) => parseInteger("SEQUENCE", raw, 0, sequenceMax));
    return withConnection(serverOf(given, io), io, async (mts) => {
      const isThrough = given.flag("through") || (await mts.consumer(subject, consumer)).ack === "all";
      const [sequence = 0, another] = sequences;
      if (isThrough && another !== undefined) {
        throw new CliFailure("here everything through one sequence is acknowledged; give the last one only");
      }
      const settled = isThrough ? { sequence } : { sequences };
      const { ackedThrough, moved } = await mts.ack(subject, consumer, settled, { signal: io.stop });
      await io.stdout.write(
        given.flag("json")
          ? `${JSON.stringify({ acked_through: ackedThrough, moved })}\n`
          : `acknowledged through ${ackedThrough}${moved ? "" : " (as before)"}\n`,
      );
      return 0;
    });
  },
};
