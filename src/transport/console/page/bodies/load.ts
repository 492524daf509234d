/**
 * The beginning of a body, or all of it: a large one is never loaded whole unless somebody asks.
 * @module
 */
import { type Api, type MessageRow, subjectPath } from "../api.ts";

/** What is loaded at first, in bytes. */
export const firstBytes = 256 * 1024;
/** What is loaded on demand; beyond, there is the download. */
export const bytesMax = 32 * 1024 * 1024;

/** What was loaded. */
export interface LoadedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether there is no more. */
  readonly whole: boolean;
}

/** Whether it is stored in a coding such as gzip: then it is shown decoded. */
export const isCoded = ({ headers }: MessageRow): boolean => {
  const coding = headers["content-encoding"]?.trim().toLowerCase();
  return coding !== undefined && coding !== "" && coding !== "identity";
};

/** At most `limit` bytes from the beginning. @throws Problem */
export const loadBody = async (
  api: Api,
  message: MessageRow,
  limit: number,
  signal: AbortSignal,
): Promise<LoadedBody> => {
  const coded = isCoded(message);
  if (message.size === 0) return { bytes: new Uint8Array(), whole: true };
  const part = !coded && message.size > limit;
  const response = await api.ask(
    subjectPath(message.subject, "messages", message.sequence),
    coded ? { deliver: "decoded" } : {},
    { signal, ...(part && { headers: { range: `bytes=0-${limit - 1}` } }) },
  );
  const { bytes, whole } = await readUpTo(response, limit);
  return { bytes, whole: whole && !part };
};

/** Reads so much and lets the rest be. */
const readUpTo = async (response: Response, limit: number): Promise<LoadedBody> => {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let whole = reader === undefined;
  while (reader !== undefined && length <= limit) {
    const { done, value } = await reader.read();
    if (done) {
      whole = true;
      break;
    }
    chunks.push(value);
    length += value.length;
  }
  if (!whole) await reader?.cancel();
  const bytes = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const chunk of chunks) {
    const fits = chunk.subarray(0, bytes.length - at);
    bytes.set(fits, at);
    at += fits.length;
  }
  return { bytes, whole: whole && length <= limit };
};
