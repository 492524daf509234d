/**
 * Which server a command talks to, and as whom.
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CliFailure, UsageError } from "./command.ts";
import type { Io } from "./io.ts";
import type { Given } from "./options.ts";

const urlDefault = "http://127.0.0.1:8000";

/** A server, and what it is shown. */
export interface ServerAccess {
  /** Without a slash at the end. */
  readonly url: string;
  /** The token as it is now; undefined where none was given. @throws CliFailure when its file cannot be read */
  readonly token: (() => Promise<string>) | undefined;
}

/**
 * Where the server is (`--url`, else MINITOOLSTREAM_URL, else the default) and the token for it (`--token-file`, else
 * MTS_TOKEN).
 * @throws UsageError
 */
export const serverOf = (given: Given, io: Io): ServerAccess => ({ url: urlOf(given, io), token: tokenOf(given, io) });

const urlOf = (given: Given, io: Io): string => {
  const raw = given.text("url") ?? (io.env["MINITOOLSTREAM_URL"] || urlDefault);
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError("the server's URL must look like http://127.0.0.1:8000 (--url, MINITOOLSTREAM_URL)");
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
};

const tokenOf = (given: Given, io: Io): ServerAccess["token"] => {
  const file = given.text("token-file");
  // Read for every connection: whoever renews the token writes the file again.
  if (file !== undefined) return () => readToken(resolve(io.cwd, file));
  const token = (io.env["MTS_TOKEN"] ?? "").trim();
  if (token === "") return undefined;
  if (!isToken(token)) throw new UsageError("MTS_TOKEN holds no token: it must be three parts joined by dots");
  return () => Promise.resolve(token);
};

const readToken = async (path: string): Promise<string> => {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new CliFailure(`the token file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
  const token = text.trim();
  if (!isToken(token)) throw new CliFailure(`${path} holds no token: it must be three parts joined by dots`);
  return token;
};

/** The form of a JWT (RFC 7515, 3.1), so that no other secret is sent by mistake. */
const isToken = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
