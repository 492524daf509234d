/**
 * Reading and writing of key files, with errors that name the fix.
 * @module
 */
import { constants } from "node:fs";
import { chmod, open, readFile, stat, unlink } from "node:fs/promises";
import { resolve } from "node:path";
import { AuthSetupError } from "../../auth/keys.ts";
import { CliFailure, UsageError } from "../command.ts";
import type { Io } from "../io.ts";

/** Reads a file of text. @throws CliFailure */
export const readKeyFile = async (path: string, io: Io): Promise<string> => {
  try {
    return await readFile(resolve(io.cwd, path), "utf8");
  } catch (thrown) {
    throw new CliFailure(`${path} cannot be read (${reasonOf(thrown)})`);
  }
};

/** A note when others on the machine can read what only the issuer should. */
export const warnOfReaders = async (path: string, io: Io): Promise<void> => {
  const { mode } = await stat(resolve(io.cwd, path));
  if ((mode & 0o077) !== 0) io.stderr(`minitoolstream: others can read ${path}; chmod 600 ${path}\n`);
};

/**
 * Writes files that only their owner can read; either all of them or none.
 * @throws UsageError when one is there already and may not be replaced
 */
export const writeKeyFiles = async (
  files: readonly (readonly [path: string, text: string])[],
  isForced: boolean,
  io: Io,
): Promise<void> => {
  const written: string[] = [];
  const flags = constants.O_WRONLY | constants.O_CREAT | (isForced ? constants.O_TRUNC : constants.O_EXCL);
  try {
    for (const [path, text] of files) {
      const full = resolve(io.cwd, path);
      const file = await open(full, flags, 0o600);
      written.push(full);
      await file.writeFile(text);
      await file.close();
      // A file that was there keeps its mode otherwise.
      await chmod(full, 0o600);
    }
  } catch (thrown) {
    if (!isForced) for (const path of written) await unlink(path);
    if (isCode(thrown, "EEXIST")) {
      throw new UsageError("a file of that name is there already; choose another with --out, or --force to replace it");
    }
    throw new CliFailure(`the keys cannot be written (${reasonOf(thrown)}); name another place with --out`);
  }
};

/** Errors about keys in the words of the command line. */
export const explainKeys = <T>(read: () => T): T => {
  try {
    return read();
  } catch (thrown) {
    throw thrown instanceof AuthSetupError ? new CliFailure(thrown.message) : thrown;
  }
};

const isCode = (thrown: unknown, code: string): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === code;

const reasonOf = (thrown: unknown): string => {
  if (isCode(thrown, "ENOENT")) return "it is not there";
  if (isCode(thrown, "EACCES")) return "permission denied";
  return thrown instanceof Error ? thrown.message : String(thrown);
};
