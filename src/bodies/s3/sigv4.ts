/**
 * AWS Signature Version 4 for S3 requests.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * @module
 */
import { createHmac } from "node:crypto";

/** Whose requests, and for which region. */
export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
}

/** What is signed of a request. */
export interface SignedParts {
  readonly method: string;
  /** `name` or `name:port`, as the `Host` header says it. */
  readonly host: string;
  /** Encoded, starts with a slash. */
  readonly path: string;
  /** Encoded, sorted by name, every name with its `=`; without the question mark. */
  readonly query: string;
  /** SHA-256 of the body in hex: the server refuses a body that arrives otherwise. Or `UNSIGNED-PAYLOAD`. */
  readonly contentSha256: string;
  /** CRC32 of the body in base64; becomes a header. */
  readonly crc32?: string;
}

/** SHA-256 of nothing, in hex. */
export const emptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// RFC 3986 keeps fewer characters than JavaScript does.
const reserved = /[!'()*]/g;

/** One name or value of a query, encoded the way it is signed. */
export const encodeQuery = (text: string): string =>
  encodeURIComponent(text).replace(reserved, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** Signs requests; keeps the key of the day, whose making costs more than the rest. */
export class Signer {
  readonly #credentials: Credentials;
  readonly #nowMs: () => number;
  #day = "";
  #key: Uint8Array = new Uint8Array(0);

  constructor(credentials: Credentials, nowMs: () => number) {
    this.#credentials = credentials;
    this.#nowMs = nowMs;
  }

  /** The headers that make the request a signed one, `Host` included. */
  headers({ method, host, path, query, contentSha256, crc32 }: SignedParts): Record<string, string> {
    // 20261121T142500Z
    const time = `${new Date(this.#nowMs()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    const day = time.slice(0, 8);
    const { accessKey, region } = this.#credentials;
    const scope = `${day}/${region}/s3/aws4_request`;
    // Sorted by name, each a line.
    const names = `host;${crc32 === undefined ? "" : "x-amz-checksum-crc32;"}x-amz-content-sha256;x-amz-date`;
    const crc32Line = crc32 === undefined ? "" : `x-amz-checksum-crc32:${crc32}\n`;
    const lines = `host:${host}\n${crc32Line}x-amz-content-sha256:${contentSha256}\nx-amz-date:${time}\n`;
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names}\n${contentSha256}`;
    const hash = Bun.SHA256.hash(canonical, "hex");
    const signature = createHmac("sha256", this.#keyOf(day))
      .update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash}`)
      .digest("hex");
    return {
      host,
      "x-amz-date": time,
      "x-amz-content-sha256": contentSha256,
      ...(crc32 === undefined ? {} : { "x-amz-checksum-crc32": crc32 }),
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    };
  }

  #keyOf(day: string): Uint8Array {
    if (day !== this.#day) {
      const { secretKey, region } = this.#credentials;
      this.#key = [day, region, "s3", "aws4_request"].reduce<Uint8Array>(
        (key, part) => createHmac("sha256", key).update(part).digest(),
        Buffer.from(`AWS4${secretKey}`),
      );
      this.#day = day;
    }
    return this.#key;
  }
}
