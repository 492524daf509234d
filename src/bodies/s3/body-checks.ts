/**
 * Which checksum goes with a body: the server refuses one that arrives otherwise.
 *
 * Signed SHA-256 is what every S3 knows, but hashing 1 MiB takes a server 0.6 ms of the 6 that a PUT costs it. CRC32
 * takes next to nothing and is what AWS's own clients send, yet older servers ignore it, and some refuse the header. So
 * the first PUT carries both. A server that names the CRC32 in its answer has looked at it; from then on that alone
 * goes with a body, in a header that is signed. With every other server SHA-256 stays.
 *
 * What is given up: somebody who can change what is on the line may exchange a body without this showing in the answer;
 * it shows when the body is read, by the SHA-256 in the metadata. So by default it is done only where nobody can: over
 * TLS, and on this machine.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 * @module
 */
import { crc32 } from "node:zlib";
import { sha256Hex } from "./hash.ts";

/** `crc32`: where the server verifies it; `auto`: there, and where the line is safe; `sha256`: never anything else. */
export type ChecksumChoice = "auto" | "crc32" | "sha256";

/** Where the bodies go. */
export interface Line {
  readonly tls: boolean;
  readonly host: string;
}

const isSafe = ({ tls, host }: Line): boolean =>
  tls || host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);

/** What is signed of a body. */
export interface BodyCheck {
  /** SHA-256 in hex, or that there is none. */
  readonly contentSha256: string;
  /** In base64, as the header has it. */
  readonly crc32?: string;
}

/** Says that only the headers are signed. */
const unsigned = "UNSIGNED-PAYLOAD";
/** In the request and in the answer. */
export const crc32Header = "x-amz-checksum-crc32";
/** A header or a value that the server does not know; with a CRC32 alone also a rule that wants bodies signed. */
const unknownHeaderStatuses: ReadonlySet<number> = new Set([400, 501]);
const unsignedStatuses: ReadonlySet<number> = new Set([400, 403, 501]);

/** Learns from the answers what the server verifies. */
export class BodyChecks {
  #sends: "both" | "crc32" | "sha256";

  constructor(choice: ChecksumChoice, line: Line) {
    this.#sends = choice === "crc32" || (choice === "auto" && isSafe(line)) ? "both" : "sha256";
  }

  /** @param sha256 in hex, when somebody works it out anyway */
  async of(body: Uint8Array, sha256: string | Promise<string> | undefined): Promise<BodyCheck> {
    if (this.#sends === "crc32") return { contentSha256: unsigned, crc32: crc32Of(body) };
    const contentSha256 = await (sha256 ?? sha256Hex(body));
    return this.#sends === "both" ? { contentSha256, crc32: crc32Of(body) } : { contentSha256 };
  }

  /** A PUT that was sent with this succeeded. */
  stored(sent: BodyCheck, answer: Headers): void {
    if (sent.crc32 !== undefined) this.#sends = answer.get(crc32Header) === sent.crc32 ? "crc32" : "sha256";
  }

  /** A PUT that was sent with this was refused for good; true when it is worth another try, with SHA-256 alone. */
  refused(sent: BodyCheck, status: number): boolean {
    if (sent.crc32 === undefined) return false;
    const statuses = sent.contentSha256 === unsigned ? unsignedStatuses : unknownHeaderStatuses;
    if (statuses.has(status)) this.#sends = "sha256";
    return statuses.has(status);
  }
}

const crc32Of = (body: Uint8Array): string => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString("base64");
};
