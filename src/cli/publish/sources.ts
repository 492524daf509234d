/**
 * Where bodies come from: files, standard input, lines of either.
 * @module
 */
import { open, stat } from "node:fs/promises";
import { CliFailure } from "../command.ts";
import type { Io } from "../io.ts";

/** Names standard input. */
export const standardInput = "-";

/** Something to publish. */
export interface Source {
  /** For people. */
  readonly label: string;
  /** Undefined for standard input. */
  readonly path: string | undefined;
  /** Undefined where only the end shows it. */
  readonly bytes: number | undefined;
  chunks(): AsyncIterable<Uint8Array>;
}

const chunkBytesMax = 256 * 1024;

/** Opens nothing yet, but finds out whether all of it can be. @throws CliFailure naming every one that cannot */
export const findSources = async (operands: readonly string[], io: Io): Promise<readonly Source[]> => {
  const results = await Promise.all(operands.map((operand) => findSource(operand, io)));
  const problems = results.filter((result) => typeof result === "string");
  if (problems.length > 0) throw new CliFailure(problems.join("\nminitoolstream: "));
  return results.filter((result) => typeof result !== "string");
};

const findSource = async (operand: string, io: Io): Promise<Source | string> => {
  if (operand === standardInput) {
    return { label: "standard input", path: undefined, bytes: undefined, chunks: () => io.stdin() };
  }
  try {
    const found = await stat(operand);
    if (found.isDirectory()) return `${operand} is a folder; name the files in it, such as ${operand}/*`;
    // A pipe or a device has no size.
    const bytes = found.isFile() ? found.size : undefined;
    return { label: operand, path: operand, bytes, chunks: () => fileChunks(operand, bytes) };
  } catch (thrown) {
    return cannotRead(operand, thrown);
  }
};

const cannotRead = (path: string, thrown: unknown): string => {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code === "ENOENT") return `there is no file ${path}`;
  if (code === "EACCES") return `${path} cannot be read: you have no right to`;
  return `${path} cannot be read: ${String(thrown)}`;
};

/** Exactly `bytes` of it, where that is known: what is appended meanwhile is not part of the message. */
async function* fileChunks(path: string, bytes: number | undefined): AsyncGenerator<Uint8Array, void> {
  const file = await open(path).catch((thrown: unknown) => {
    throw new CliFailure(cannotRead(path, thrown));
  });
  try {
    let left = bytes ?? Number.POSITIVE_INFINITY;
    while (left > 0) {
      const buffer = new Uint8Array(Math.min(chunkBytesMax, left));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    if (bytes !== undefined && left > 0) throw new CliFailure(`${path} became shorter while it was read`);
  } finally {
    await file.close();
  }
}

/** A longer line is a mistake (a binary file, say), and would have to be held as a whole. */
const lineBytesMax = 64 * 1024 * 1024;
const newline = 10;

/**
 * The lines of a stream without their `\n`, as many at a time as a chunk ends; empty ones too. A last line needs no end.
 * @throws CliFailure for a line above 64 MiB
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Uint8Array[], void> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const tail = chunk.subarray(start, end);
      lines.push(rest.length === 0 ? tail : Buffer.concat([...rest, tail]));
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > lineBytesMax) throw new CliFailure("a line has more than 64 MiB; publish it as a file instead");
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) yield [Buffer.concat(rest)];
}
