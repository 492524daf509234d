/**
 * From an error of the operating system to the error of the store.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import { systemCode } from "./io.ts";

/** No room on the disk, in the quota, or under the largest file size. */
const fullCodes: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
/** What opening a file that is not there says. */
const absentCodes: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "EISDIR"]);

/** `storage_full` or `unavailable`; what is a `StreamError` already stays. */
export const writeError = (thrown: unknown): StreamError => {
  if (thrown instanceof StreamError) return thrown;
  return fullCodes.has(systemCode(thrown))
    ? new StreamError("storage_full", "The disk of the body files is full; free or add space.", {}, thrown)
    : new StreamError("unavailable", "The body files cannot be written; the server's log has the cause.", {}, thrown);
};

/** Awaits a step of a write and turns its failure into the error of the store. */
export const writing = async <T>(step: Promise<T>): Promise<T> => {
  try {
    return await step;
  } catch (thrown) {
    throw writeError(thrown);
  }
};

/** `unavailable`; what is a `StreamError` already stays. */
export const readError = (thrown: unknown): StreamError =>
  thrown instanceof StreamError
    ? thrown
    : new StreamError("unavailable", "The body files cannot be read; the server's log has the cause.", {}, thrown);

/** Whether a failed open or read means that there is no such object. */
export const isAbsent = (thrown: unknown): boolean => absentCodes.has(systemCode(thrown));

/** The store was closed. */
export const closedError = (): StreamError => new StreamError("unavailable", "The body store is closed.");
