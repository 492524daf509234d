/**
 * Where the bucket is and how its objects are addressed.
 * @module
 */
import { assert } from "../../core/errors.ts";

/** Where the server is and what belongs to this store in it. */
export interface S3Address {
  /** Name or IP address of the server; without the bucket, also when that is part of the name. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly bucket: string;
  /** `path`: `https://host/bucket/key`; `virtual`: `https://bucket.host/key`. */
  readonly addressing: "path" | "virtual";
  /** Put before every key, so that several stores can share a bucket; "" or `[A-Za-z0-9._/-]+/`. */
  readonly prefix: string;
  /** Connects here and not to what the name resolves to, e.g. a private endpoint; requests still name `host`. */
  readonly connectHost?: string | undefined;
}

/** What a prefix may look like: nothing that would have to be encoded, or that a URL resolves. */
export const prefixPattern = /^(?:(?!\.{1,2}\/)[A-Za-z0-9._-]{1,100}\/){0,8}$/;
/** What a bucket's name may look like; safe in a path and in a host name. */
export const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** One object or the bucket itself, as a request needs it. */
export interface Target {
  readonly url: string;
  /** As it is signed. */
  readonly path: string;
}

/** Makes the URLs of a bucket. */
export class Endpoint {
  /** The `Host` header. */
  readonly host: string;
  /** The name a certificate must be for, or undefined without TLS. */
  readonly serverName: string | undefined;
  readonly #origin: string;
  readonly #bucketPath: string;
  readonly #prefix: string;

  constructor({ host, port, tls, bucket, addressing, prefix, connectHost }: S3Address) {
    assert(bucketPattern.test(bucket), "the bucket's name is checked with the configuration");
    assert(prefixPattern.test(prefix), "the prefix is checked with the configuration");
    const name = addressing === "virtual" ? `${bucket}.${host}` : host;
    // The port of the protocol is left out by every HTTP client, so it must be left out where it is signed too.
    const portPart = port === (tls ? 443 : 80) ? "" : `:${port}`;
    this.host = `${bracketed(name)}${portPart}`;
    this.serverName = tls ? name : undefined;
    this.#origin = `${tls ? "https" : "http"}://${bracketed(connectHost ?? name)}${portPart}`;
    this.#bucketPath = addressing === "virtual" ? "/" : `/${bucket}/`;
    this.#prefix = prefix;
  }

  /** The key of an object. */
  keyOf(object: string): string {
    return this.#prefix + object;
  }

  /** An object, or with "" the bucket. */
  target(object: string, query = ""): Target {
    const path = object === "" ? this.#bucketPath : `${this.#bucketPath}${this.#prefix}${encodeKey(object)}`;
    return { path, url: `${this.#origin}${path}${query === "" ? "" : `?${query}`}` };
  }
}

/** As the signature wants it: everything but A-Z a-z 0-9 - . _ ~ and the slashes between. */
const encodeKey = (object: string): string =>
  object
    .split("/")
    .map((part) =>
      encodeURIComponent(part).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join("/");

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);
