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
  /** Where clients reach the same server, for the addresses that are signed for them; as this one does, when left out. */
  readonly publicAddress?: PublicAddress | undefined;
}

/** The server as clients name it: without the bucket, like `S3Address.host`. */
export interface PublicAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
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
  /** The same of requests that clients send. */
  readonly publicHost: string;
  readonly #origin: string;
  readonly #publicOrigin: string;
  readonly #bucketPath: string;
  readonly #prefix: string;

  constructor({ host, port, tls, bucket, addressing, prefix, connectHost, publicAddress }: S3Address) {
    assert(bucketPattern.test(bucket), "the bucket's name is checked with the configuration");
    assert(prefixPattern.test(prefix), "the prefix is checked with the configuration");
    const name = addressing === "virtual" ? `${bucket}.${host}` : host;
    this.host = authority(name, port, tls);
    this.serverName = tls ? name : undefined;
    this.#origin = `${schemeOf(tls)}://${authority(connectHost ?? name, port, tls)}`;
    const known = publicAddress ?? { host, port, tls };
    const publicName = addressing === "virtual" ? `${bucket}.${known.host}` : known.host;
    this.publicHost = authority(publicName, known.port, known.tls);
    this.#publicOrigin = `${schemeOf(known.tls)}://${this.publicHost}`;
    this.#bucketPath = addressing === "virtual" ? "/" : `/${bucket}/`;
    this.#prefix = prefix;
  }

  /** The key of an object. */
  keyOf(object: string): string {
    return this.#prefix + object;
  }

  /** The object with this key, or undefined when it is none of this store. */
  objectOf(key: string): string | undefined {
    return key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : undefined;
  }

  /** Where clients find what has this path and query. */
  publicUrl(path: string, query: string): string {
    return `${this.#publicOrigin}${path}?${query}`;
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

const schemeOf = (tls: boolean): string => (tls ? "https" : "http");

/** The port of the protocol is left out by every HTTP client, so it must be left out where it is signed too. */
const authority = (name: string, port: number, tls: boolean): string =>
  bracketed(name) + (port === (tls ? 443 : 80) ? "" : `:${port}`);

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);
