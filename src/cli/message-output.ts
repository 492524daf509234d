/**
 * How received messages are written: JSON lines, bodies as they are, lines for people, or files.
 * @module
 */
import type { BodyPointer, DeliverAs, Message } from "../client/index.ts";
import { deliverForms } from "../codec/deliver.ts";
import { type OptionSpec, UsageError } from "./command.ts";
import { FolderOutput } from "./folder-output.ts";
import { printable, sizeText } from "./format.ts";
import type { Io } from "./io.ts";
import type { Given } from "./options.ts";

/** Where messages go. */
export interface MessageOutput {
  /** Resolves when it is written, or gathered to be. @throws ReaderGoneError */
  write(message: Message): Promise<void>;
  /** Resolves when all of it is with the operating system (files: on stable storage). @throws ReaderGoneError */
  flush(): Promise<void>;
}

/** The option that chooses. */
export const outputOption: OptionSpec = {
  kind: "text",
  placeholder: "HOW",
  meaning: "json, raw, text, or a folder; default text on a terminal, else json",
};

/** The option that says what is wanted of bodies. */
export const deliverOption: OptionSpec = {
  kind: "text",
  placeholder: "AS",
  meaning: "body (default), decoded (its content-encoding undone), or pointer (where to fetch it)",
};

/** What was given for it. @throws UsageError */
export const deliverOf = (given: Given): DeliverAs | undefined => {
  const raw = given.text("deliver");
  const form = deliverForms.find((known) => known === raw);
  if (raw !== undefined && form === undefined) throw new UsageError(`--deliver must be ${deliverForms.join(", ")}`);
  return form;
};

/** What the help says of it. */
export const outputDetails = `
--output json   one JSON object a line, as in the HTTP API: data when the body is text, else data_base64
--output raw    the bodies as they are, a \\n after each; with a limit of one message nothing is added to it
--output text   for people: subject, sequence, time, headers, then the body (what is not text is only counted)
--output DIR    a file for each message, named by its header filename (without folders), else SUBJECT_SEQUENCE; a name
                that is taken gets the sequence added, nothing is ever overwritten (a folder named json is ./json)`;

/** @param isSingle at most one message comes @throws UsageError, CliFailure */
export const messageOutput = (given: Given, isSingle: boolean, io: Io): MessageOutput => {
  const how = given.text("output") ?? (io.stdoutIsTerminal ? "text" : "json");
  if (deliverOf(given) === "pointer" && how !== "json" && how !== "text") {
    throw new UsageError("--deliver pointer goes with --output json or text: there are no bodies to write");
  }
  switch (how) {
    case "json":
      return streamOutput(io, (message) => `${JSON.stringify(messageJson(message))}\n`);
    case "raw":
      return streamOutput(io, ({ data }) => (isSingle ? data : Buffer.concat([data, newline])));
    case "text":
      return streamOutput(io, messageText);
    default:
      return new FolderOutput(how, io);
  }
};

const newline = Buffer.from("\n");
const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const streamOutput = (io: Io, form: (message: Message) => string | Uint8Array): MessageOutput => ({
  write: (message) => io.stdout.write(form(message)),
  flush: () => io.stdout.flush(),
});

const textOf = (data: Uint8Array): string | undefined => {
  try {
    return fatal.decode(data);
  } catch {
    return undefined;
  }
};

/** The field names of the HTTP API. */
const messageJson = (message: Message): Readonly<Record<string, unknown>> => {
  const { subject, sequence, timestamp, headers, data, pointer, deliveries } = message;
  const head = { subject, sequence, timestamp, headers };
  if (pointer !== undefined) {
    return { ...head, size: pointer.size, sha256: pointer.sha256, pointer: pointerJson(pointer), deliveries };
  }
  const text = textOf(data);
  return {
    ...head,
    size: data.length,
    sha256: Buffer.from(Bun.SHA256.hash(data) as Uint8Array).toString("hex"),
    ...(text === undefined ? { data_base64: Buffer.from(data).toString("base64") } : { data: text }),
    deliveries,
  };
};

const pointerJson = ({ contentEncoding, expiresAt, ...rest }: BodyPointer): Readonly<Record<string, unknown>> => ({
  ...rest,
  content_encoding: contentEncoding,
  expires_at: expiresAt,
});

const messageText = ({ subject, sequence, timestamp, headers, data, pointer, deliveries }: Message): string => {
  const text = pointer === undefined ? textOf(data) : pointer.url;
  const notes = [
    ...Object.entries(headers).map(([name, value]) => `${name}=${value}`),
    ...(deliveries > 1 ? [`delivery ${deliveries}`] : []),
  ];
  const head = [subject, String(sequence), new Date(timestamp).toISOString(), ...notes].map(printable).join("  ");
  if (text === undefined) return `${head}\n  (${sizeText(data.length)} that are not text)\n`;
  if (text === "") return `${head}\n`;
  const lines = text.replace(/\n$/, "").split("\n");
  return `${head}\n${lines.map((line) => `  ${printable(line)}`).join("\n")}\n`;
};
