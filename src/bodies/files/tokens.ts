/**
 * What stands in our own signed addresses: who has one may read that range, or put that upload, and nothing else.
 *
 * `<fields>.<mac>`, both base64url; the fields are a JSON array that starts with what it is for.
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { StreamError } from "../../core/errors.ts";

/** Bytes of an object. */
export interface ReadToken {
  readonly object: string;
  readonly offset: number;
  readonly length: number;
}

/** A body that may be put. */
export interface PutToken {
  readonly object: string;
  readonly length: number;
  readonly sha256: Uint8Array;
}

/** Far more than any of ours has. */
const tokenCharsMax = 1024;

/** Makes and reads tokens. */
export class Tokens {
  readonly #key: Uint8Array;
  readonly #nowMs: () => number;

  /** @param nowMs Unix milliseconds */
  constructor(secret: Uint8Array, nowMs: () => number) {
    this.#key = createHmac("sha256", secret).update("minitoolstream addresses 1").digest();
    this.#nowMs = nowMs;
  }

  forReading({ object, offset, length }: ReadToken, expiresAtMs: number): string {
    return this.#signed(["read", expiresAtMs, object, offset, length]);
  }

  forPutting({ object, length, sha256 }: PutToken, expiresAtMs: number): string {
    return this.#signed(["put", expiresAtMs, object, length, Buffer.from(sha256).toString("hex")]);
  }

  /** @throws StreamError `permission_denied` */
  reading(token: string): ReadToken {
    const [object, offset, length] = this.#fieldsOf(token, "read");
    return { object: String(object), offset: Number(offset), length: Number(length) };
  }

  /** @throws StreamError `permission_denied` */
  putting(token: string): PutToken {
    const [object, length, sha256] = this.#fieldsOf(token, "put");
    return { object: String(object), length: Number(length), sha256: Buffer.from(String(sha256), "hex") };
  }

  #signed(fields: readonly (string | number)[]): string {
    const text = Buffer.from(JSON.stringify(fields)).toString("base64url");
    return `${text}.${this.#mac(text)}`;
  }

  #fieldsOf(token: string, use: "read" | "put"): readonly unknown[] {
    const [text = "", mac = ""] = token.length > tokenCharsMax ? [] : token.split(".", 2);
    const wanted = Buffer.from(this.#mac(text));
    const given = Buffer.from(mac);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw denied("is not signed by this server");
    // Signed by us, so it is what we made.
    const [found, expiresAtMs, ...fields] = JSON.parse(Buffer.from(text, "base64url").toString()) as readonly unknown[];
    if (found !== use) throw denied(found === "read" ? "is one to GET" : "is one to PUT");
    if (Number(expiresAtMs) <= this.#nowMs()) throw denied("has expired");
    return fields;
  }

  #mac(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}

const denied = (why: string): StreamError => new StreamError("permission_denied", `The address ${why}.`);
