/**
 * What the server is told at start; `config.ts` reads it from flags, environment and file.
 * @module
 */

/** Which metadata store, from `MTS_METADATA_URL`. */
export type MetadataChoice =
  | { readonly kind: "sqlite"; readonly path: string }
  | {
      readonly kind: "tarantool";
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly password: string;
    };

/** Which body store, from `MTS_BODIES_URL`. */
export type BodiesChoice =
  | { readonly kind: "files"; readonly path: string }
  | {
      readonly kind: "s3";
      readonly host: string;
      readonly port: number;
      readonly tls: boolean;
      readonly accessKey: string;
      readonly secretKey: string;
      readonly bucket: string;
      readonly region: string;
      /** `path`: `host/bucket/key`; `virtual`: `bucket.host/key`. */
      readonly addressing: "path" | "virtual";
      /** Put before every key; empty or ending in `/`. */
      readonly prefix: string;
      /** What the server gets to verify a body: CRC32 where it is known to, else SHA-256; or SHA-256 always. */
      readonly checksum: "auto" | "sha256";
    };

/** The whole configuration, checked. */
export interface Config {
  readonly httpHost: string;
  /** 0 takes any free port. */
  readonly httpPort: number;
  readonly grpcHost: string;
  readonly grpcPort: number;
  /** Folder of the embedded stores; absolute. */
  readonly dataDir: string;
  readonly metadata: MetadataChoice;
  readonly bodies: BodiesChoice;
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;
  /** How long a message id is remembered, in milliseconds. */
  readonly dedupeWindowMs: number;
  /** Browser origins let in beside the server's own; `*` alone lets all in. */
  readonly allowedOrigins: readonly string[];
  readonly logLevel: "debug" | "info" | "warn" | "error" | "off";
  /** `pretty` on a terminal, `json` elsewhere. */
  readonly logFormat: "json" | "pretty";
}
