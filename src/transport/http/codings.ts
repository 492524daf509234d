/**
 * Content codings (RFC 9110, 8.4 and 12.5.3): what a message says of its body, and whether a client takes it so.
 * @module
 */

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Names that mean others (RFC 9110, 18.6). */
const aliases: ReadonlyMap<string, string> = new Map([
  ["x-gzip", "gzip"],
  ["x-compress", "compress"],
]);

const nameOf = (raw: string): string => {
  const name = raw.trim().toLowerCase();
  return aliases.get(name) ?? name;
};

/**
 * The codings that a `Content-Encoding` names, in the order in which they were applied, without `identity`; undefined
 * when it is no such list.
 */
export const codingsOf = (header: string): readonly string[] | undefined => {
  const names = header
    .split(",")
    .map(nameOf)
    .filter((name) => name !== "");
  return names.every((name) => token.test(name)) ? names.filter((name) => name !== "identity") : undefined;
};

interface Accepted {
  readonly name: string;
  readonly quality: number;
}

const acceptedPattern = /^\s*([^\s;,]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/i;

/** What cannot be read is passed over. */
const parseAccepted = (header: string): readonly Accepted[] =>
  header.split(",").flatMap((part) => {
    const match = acceptedPattern.exec(part);
    return match?.[1] === undefined ? [] : [{ name: nameOf(match[1]), quality: Math.min(1, Number(match[2] ?? 1)) }];
  });

/**
 * Whether a body with these codings goes out as it is: each of them is accepted, and none less than `identity` where
 * the client names that. Who sends no `Accept-Encoding` may be sent any (RFC 9110, 12.5.3), and mostly cannot read one
 * (curl, scripts): to such a client it goes out decoded.
 */
export const takesCodings = (acceptEncoding: string | null, codings: readonly string[]): boolean => {
  if (acceptEncoding === null) return false;
  const accepted = parseAccepted(acceptEncoding);
  const qualityOf = (name: string): number | undefined =>
    accepted.find((candidate) => candidate.name === name)?.quality;
  const anyOther = qualityOf("*") ?? 0;
  const quality = Math.min(...codings.map((coding) => qualityOf(coding) ?? anyOther));
  return quality > 0 && quality >= (qualityOf("identity") ?? 0);
};
