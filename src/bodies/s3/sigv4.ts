/**
 * AWS Signature Version 4 for S3 requests.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
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

/** A request that somebody else will send. */
export interface PresignedParts extends Pick<SignedParts, "method" | "host" | "path"> {
  /** Names and values, not encoded, of the request itself. */
  readonly query?: Readonly<Record<string, string>>;
  /** Sent along by whoever sends it, names in lower case: the server refuses the request when one is another. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whole seconds, a week at most. */
  readonly validS: number;
}

/** SHA-256 of nothing, in hex. */
export const emptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** See `Signer.presign`. */
export interface PresignedQuery {
  /** Encoded, without the question mark. */
  readonly query: string;
  /** Unix milliseconds. */
  readonly expiresAtMs: number;
}

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
    const { time, day, scope } = this.#moment(this.#nowMs());
    const { accessKey } = this.#credentials;
    // Sorted by name, each a line.
    const names = `host;${crc32 === undefined ? "" : "x-amz-checksum-crc32;"}x-amz-content-sha256;x-amz-date`;
    const crc32Line = crc32 === undefined ? "" : `x-amz-checksum-crc32:${crc32}\n`;
    const lines = `host:${host}\n${crc32Line}x-amz-content-sha256:${contentSha256}\nx-amz-date:${time}\n`;
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names}\n${contentSha256}`;
    const signature = this.#sign(canonical, time, day, scope);
    return {
      host,
      "x-amz-date": time,
      "x-amz-content-sha256": contentSha256,
      ...(crc32 === undefined ? {} : { "x-amz-checksum-crc32": crc32 }),
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    };
  }

  /**
   * The query that makes the request a signed one for everybody who has it. The minio package signs no headers but
   * `Host`, and these are what a request is bound by.
   */
  presign({ method, host, path, query = {}, headers, validS }: PresignedParts): PresignedQuery {
    const nowMs = this.#nowMs();
    const { time, day, scope } = this.#moment(nowMs);
    const signed = Object.entries({ ...headers, host }).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const names = signed.map(([name]) => name).join(";");
    const parameters = Object.entries({
      ...query,
      "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
      "X-Amz-Credential": `${this.#credentials.accessKey}/${scope}`,
      "X-Amz-Date": time,
      "X-Amz-Expires": String(validS),
      "X-Amz-SignedHeaders": names,
    });
    const sorted = parameters
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${encodeQuery(name)}=${encodeQuery(value)}`)
      .join("&");
    const lines = signed.map(([name, value]) => `${name}:${value}\n`).join("");
    const canonical = `${method}\n${path}\n${sorted}\n${lines}\n${names}\nUNSIGNED-PAYLOAD`;
    const signature = this.#sign(canonical, time, day, scope);
    // What counts is the whole second that it was signed in.
    const expiresAtMs = nowMs - (nowMs % 1000) + validS * 1000;
    return { query: `${sorted}&X-Amz-Signature=${signature}`, expiresAtMs };
  }

  #moment(nowMs: number): { readonly time: string; readonly day: string; readonly scope: string } {
    // 20261121T142500Z
    const time = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    const day = time.slice(0, 8);
    return { time, day, scope: `${day}/${this.#credentials.region}/s3/aws4_request` };
  }

  #sign(canonical: string, time: string, day: string, scope: string): string {
    const hash = Bun.SHA256.hash(canonical, "hex");
    return createHmac("sha256", this.#keyOf(day)).update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash}`).digest("hex");
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
