/**
 * File names out of texts that somebody else chose.
 * @module
 */

/** Leaves room for a number under the 255 bytes that file systems have. */
const nameBytesMax = 200;
/** Longer is no ending but a part of the name. */
const endingBytesMax = 20;

// Everything that is not a letter, a mark, a digit, a space or one of these is replaced.
const unsafe = /[^\p{L}\p{M}\p{N} ._+=@%,()[\]~-]/gu;
/** Names that Windows keeps for devices. */
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * The last part of a path as a name that means a file in the folder it is joined to, and is not hidden there;
 * undefined when nothing is left of it.
 */
export const safeName = (raw: string): string | undefined => {
  const last = raw.split(/[/\\]/).at(-1) ?? "";
  const plain = last
    .normalize("NFC")
    .replace(unsafe, "_")
    // A dot in front hides a file (and makes `..`), a dash makes an option of it.
    .replace(/^[\s.-]+/, "")
    .replace(/[\s.]+$/, "");
  if (plain === "") return undefined;
  const { stem, ending } = splitEnding(plain);
  const short = `${cut(stem, nameBytesMax - Buffer.byteLength(ending))}${ending}`;
  return device.test(short) ? `_${short}` : short;
};

/** The name, then with the sequence before its ending, then with a number behind that. */
export const numberedName = (name: string, sequence: number, attempt: number): string => {
  if (attempt === 0) return name;
  const { stem, ending } = splitEnding(name);
  return `${stem}_${sequence}${attempt === 1 ? "" : `_${attempt}`}${ending}`;
};

const splitEnding = (name: string): { readonly stem: string; readonly ending: string } => {
  const dot = name.lastIndexOf(".");
  const isEnding = dot > 0 && Buffer.byteLength(name.slice(dot)) <= endingBytesMax;
  return isEnding ? { stem: name.slice(0, dot), ending: name.slice(dot) } : { stem: name, ending: "" };
};

/** At most so many bytes of UTF-8, no character cut in two. */
const cut = (text: string, bytesMax: number): string => {
  let bytes = 0;
  let result = "";
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    result += character;
  }
  return result;
};
