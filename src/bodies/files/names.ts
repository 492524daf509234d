/**
 * Names of objects: what kind, when, and enough chance that none is ever used twice.
 * @module
 */
import { objectNamePattern } from "../contract.ts";
import { uploadPrefix } from "../uploads.ts";

/** Folder of files that are not objects yet. */
export const partFolder = "tmp";

/** Top folders of everything that is an object. */
export const objectFolders: readonly string[] = ["s", "o", uploadPrefix.slice(0, -1)];

/** 17 characters of 0-9a-z: milliseconds (in order until the year 5188), then 40 random bits. */
export const sortableId = (): string => {
  const chance = crypto.getRandomValues(new Uint8Array(5)).reduce((sum, byte) => sum * 256 + byte, 0);
  return Date.now().toString(36).padStart(9, "0") + chance.toString(36).padStart(8, "0");
};

/** A folder for every 17 hours: at a segment a second 60,000 files. */
export const segmentName = (id: string): string => `s/${id.slice(0, 4)}/${id.slice(4)}`;

/** Large objects come faster than segments: a folder for every 17 hours, and in it one for every 47 seconds. */
export const largeObjectName = (id: string): string => `o/${id.slice(0, 4)}/${id.slice(4, 6)}/${id.slice(6)}`;

/** The folder of an object, relative to the store. */
export const folderOf = (object: string): string => object.slice(0, object.lastIndexOf("/"));

/** Whether a name is that of an object of ours, and no folder, part or other file. */
export const isObjectName = (object: string): boolean =>
  isSafeName(object) && objectFolders.some((folder) => object.startsWith(`${folder}/`));

/** Whether a name may be joined to the store's path: metadata that was tampered with must not lead out of it. */
export const isSafeName = (object: string): boolean => objectNamePattern.test(object) && !object.includes("..");
