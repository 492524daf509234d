/**
 * What the server is told at start; `config.ts` reads it from flags, environment and file.
 * @module
 */

import type { AuditChoice, AuthChoice } from "./auth/choice.ts";
import type { FilterPolicy } from "./core/policy.ts";

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
      /** Where clients reach it, when they do under another name: for the addresses that are signed for them. */
      readonly publicAddress: { readonly host: string; readonly port: number; readonly tls: boolean } | undefined;
      /** What the server gets to verify a body: see `src/bodies/s3/body-checks.ts`. */
      readonly checksum: "auto" | "crc32" | "sha256";
    };

/** PEM files of the certificate (with its chain) and its key; absolute paths. */
export interface TlsChoice {
  readonly certPath: string;
  readonly keyPath: string;
}

/** The whole configuration, checked. */
export interface Config {
  readonly httpHost: string;
  /** 0 takes any free port. */
  readonly httpPort: number;
  readonly grpcHost: string;
  readonly grpcPort: number;
  /** Whether somebody gave the port; a default one that is taken is no reason not to start. */
  readonly isGrpcPortGiven: boolean;
  /** Fetches over gRPC acknowledge what they deliver. */
  readonly grpcAutoAck: boolean;
  readonly auth: AuthChoice;
  /** Others may reach a server that asks for no tokens. */
  readonly insecure: boolean;
  /** For HTTP, WebSocket and gRPC; undefined is no encryption. */
  readonly tls: TlsChoice | undefined;
  readonly audit: AuditChoice;
  /** `subjects`: subjects and names of consumers are labels of metrics. */
  readonly metricsLabels: "none" | "subjects";
  /** Connections that one address may hold, per transport; 0 is no limit. */
  readonly connectionsPerAddressMax: number;
  /** Bytes of all requests under way together. */
  readonly inFlightBytesMax: number;
  /** Folder of the embedded stores; absolute. */
  readonly dataDir: string;
  readonly metadata: MetadataChoice;
  readonly bodies: BodiesChoice;
  /** New bodies are packed in the store where it pays. */
  readonly compress: "none" | "zstd";
  /** How long a signed address of a body, or of a place to put one, works, in milliseconds. */
  readonly pointerLifetimeMs: number;
  /** Scheme, host and port at which clients reach this server; undefined when it is where it listens. */
  readonly publicUrl: string | undefined;
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;
  /** How long a message id is remembered, in milliseconds. */
  readonly dedupeWindowMs: number;
  /** Between two passes of upkeep, in milliseconds; undefined turns it off. */
  readonly sweepIntervalMs: number | undefined;
  /** How long nothing has pointed into an object before it is deleted, in milliseconds. */
  readonly sweepGraceMs: number;
  /** Objects of the body store are rewritten when at most this share of them is alive; 0 for never. */
  readonly compactShare: number;
  /** Objects of the body store with fewer bytes are joined. */
  readonly compactBelowBytes: number;
  /** Application actors: names of the program's own, absolute paths of others. */
  readonly actors: readonly string[];
  /** Business events that come later than this are late, in milliseconds. */
  readonly eventsLatenessMs: number;
  /** Policies that are put at start. */
  readonly policies: readonly FilterPolicy[];
  /** Browser origins let in beside the server's own; `*` alone lets all in. */
  readonly allowedOrigins: readonly string[];
  readonly logLevel: "debug" | "info" | "warn" | "error" | "off";
  /** `pretty` on a terminal, `json` elsewhere. */
  readonly logFormat: "json" | "pretty";
}
