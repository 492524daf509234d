/**
 * Damage to stored bodies as a failing disk does it: in the files, behind the server's back. Where a body lies is found
 * by its bytes, so nothing is assumed about names and layout.
 * @module
 */
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Where the bytes of a body are. */
export interface Place {
  readonly path: string;
  readonly offset: number;
}

/** Finds the one file below the folder that has these bytes. */
export const findBody = async (folder: string, body: Uint8Array): Promise<Place> => {
  const places: Place[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    if (!(await stat(path)).isFile()) continue;
    const offset = (await readFile(path)).indexOf(body);
    if (offset !== -1) places.push({ path, offset });
  }
  const [place, another] = places;
  if (place === undefined || another !== undefined) throw new Error(`the body is in ${places.length} files`);
  return place;
};

/** Turns one bit of one byte over. */
export const flipBit = async ({ path, offset }: Place): Promise<void> => {
  const file = await open(path, "r+");
  try {
    const byte = new Uint8Array(1);
    await file.read(byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0x10;
    await file.write(byte, 0, 1, offset);
  } finally {
    await file.close();
  }
};
