/**
 * The secret that the addresses of this store are signed with: made once, kept beside the bodies, for the server alone.
 * @module
 */
import { constants } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { isAbsent } from "./faults.ts";

/** Its name in the store's folder; no object can have it. */
const fileName = "address-secret";
const secretBytes = 32;

/** Reads it; makes it when there is none, or only a part of one. Durable when it resolves. */
export const readSecret = async (folder: string): Promise<Uint8Array> => {
  const path = join(folder, fileName);
  try {
    const secret = new Uint8Array(await readFile(path));
    if (secret.length === secretBytes) return secret;
  } catch (thrown) {
    if (!isAbsent(thrown)) throw thrown;
  }
  const secret = crypto.getRandomValues(new Uint8Array(secretBytes));
  const part = `${path}.new`;
  const file = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(secret);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  const parent = await open(folder, "r");
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
  return secret;
};
