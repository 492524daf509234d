/**
 * Messages as files in one folder. The names come from strangers: they are reduced until they cannot lead anywhere
 * else, and a file that is there is never touched.
 * @module
 */
import { mkdirSync } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Message } from "../client/index.ts";
import { CliFailure } from "./command.ts";
import { printable } from "./format.ts";
import type { Io } from "./io.ts";
import type { MessageOutput } from "./message-output.ts";
import { numberedName, safeName } from "./safe-name.ts";

/** Names that are tried for one message. */
const attemptsMax = 1000;

/** Writes each body into a file of its own, on stable storage when `write` resolves, and prints where. */
export class FolderOutput implements MessageOutput {
  readonly #folder: string;
  readonly #io: Io;

  /** Makes the folder when it is not there. @throws CliFailure */
  constructor(folder: string, io: Io) {
    this.#folder = folder;
    this.#io = io;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (thrown) {
      throw new CliFailure(`the folder ${folder} cannot be made: ${String(thrown)}`);
    }
  }

  async write(message: Message): Promise<void> {
    const { subject, sequence, data } = message;
    const path = await this.#writeNew(nameOf(message), sequence, data);
    await this.#io.stdout.write(`${subject} ${sequence} ${printable(path)}\n`);
  }

  flush(): Promise<void> {
    return this.#io.stdout.flush();
  }

  /** The first name that is free: NAME, NAME_SEQUENCE, NAME_SEQUENCE_2 … */
  async #writeNew(name: string, sequence: number, data: Uint8Array): Promise<string> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const path = join(this.#folder, numberedName(name, sequence, attempt));
      try {
        await writeExclusively(path, data);
        return path;
      } catch (thrown) {
        const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
        if (code !== "EEXIST") throw new CliFailure(`${path} cannot be written: ${String(thrown)}`);
      }
    }
    throw new CliFailure(`${this.#folder} has too many files like ${name}; name another folder`);
  }
}

const nameOf = ({ subject, sequence, headers }: Message): string =>
  safeName(headers["filename"] ?? "") ??
  safeName(`${subject.replaceAll("/", "_")}_${sequence}`) ??
  `message_${sequence}`;

/** Neither an existing file nor what a symbolic link points to is opened. */
const writeExclusively = async (path: string, data: Uint8Array): Promise<void> => {
  const file = await open(path, "wx");
  try {
    await file.writeFile(data);
    await file.sync();
  } catch (thrown) {
    // Half a body under its name would look like a whole one.
    await unlink(path);
    throw thrown;
  } finally {
    await file.close();
  }
};
