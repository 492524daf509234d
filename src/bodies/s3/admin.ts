/**
 * What is asked rarely of S3, through the `minio` package: the bucket, multipart uploads around their parts, listings.
 * @module
 */
import * as http from "node:http";
import * as https from "node:https";
import { Client, S3Error } from "minio";
import { type CallObserver, observedCall } from "../../core/calls.ts";
import type { StoredObject } from "../contract.ts";
import { abortable } from "../until-aborted.ts";
import { listedObject, uploadExpiresAtMs } from "../uploads.ts";
import type { Endpoint, S3Address } from "./endpoint.ts";
import { faultKind, outcomeOf, S3Fault, storeError, toFault } from "./faults.ts";
import { isOwnName, namePrefixes } from "./names.ts";
import type { Retry } from "./retry.ts";
import type { Credentials } from "./sigv4.ts";

/** Where, as whom, and how. */
export interface S3AdminParts {
  readonly address: S3Address;
  readonly credentials: Credentials;
  readonly endpoint: Endpoint;
  /** Certificates in PEM that are trusted in place of the system's. */
  readonly ca: string | undefined;
  readonly retry: Retry;
  /** A request that is not answered by then is given up; the retry's own limit ends the waiting before. */
  readonly requestMsMax: number;
  /** Told of each request by its method. */
  readonly observe?: CallObserver | undefined;
}

/** A part that arrived. */
export interface UploadedPart {
  readonly part: number;
  readonly etag: string;
}

/** `minio` knows how to list parts, but tells only those who extend it. */
class PartsClient extends Client {
  partsOf(bucket: string, key: string, uploadId: string): ReturnType<Client["listParts"]> {
    return this.listParts(bucket, key, uploadId);
  }
}

const pageObjectsMax = 1000;
/** The answers that `minio` drops without reading them, which would leave their connections open. */
const unreadStatuses: ReadonlySet<number | undefined> = new Set([408, 429, 499, 500, 502, 503, 504, 520]);

/** See the module. All of its requests are retried. */
export class S3Admin {
  readonly #parts: S3AdminParts;
  readonly #client: PartsClient;
  readonly #agent: http.Agent;
  readonly #bucket: string;

  constructor(parts: S3AdminParts) {
    const { address, credentials } = parts;
    this.#parts = parts;
    this.#bucket = address.bucket;
    this.#agent = new (address.tls ? https : http).Agent({ keepAlive: true });
    this.#client = new PartsClient({
      endPoint: address.host,
      port: address.port,
      useSSL: address.tls,
      pathStyle: address.addressing === "path",
      ...credentials,
      transport: transportOf(parts),
      transportAgent: this.#agent,
      // Ours know more, and do not write to the console.
      retryOptions: { disableRetry: true },
    });
  }

  /** Makes the bucket when there is none. */
  async ensureBucket(): Promise<void> {
    const exists = (): Promise<boolean> => this.#call("HEAD bucket", () => this.#client.bucketExists(this.#bucket));
    if (await exists()) return;
    const { region } = this.#parts.credentials;
    try {
      await this.#call("PUT bucket", () => this.#client.makeBucket(this.#bucket, region));
    } catch (thrown) {
      // Another node was quicker, or this one was and did not hear of it.
      if (!(await exists())) throw thrown;
    }
  }

  /** Begins a multipart upload; resolves to its id. When a reply is lost, an upload without parts stays behind. */
  startUpload(object: string): Promise<string> {
    const key = this.#parts.endpoint.keyOf(object);
    const headers = { "content-type": "application/octet-stream" };
    const start = (): Promise<string> => this.#client.initiateNewMultipartUpload(this.#bucket, key, headers);
    return this.#call(`POST ${object}?uploads`, start);
  }

  /** Makes the parts an object of so many bytes. */
  async completeUpload(
    object: string,
    uploadId: string,
    parts: readonly UploadedPart[],
    bytes: number,
    signal: AbortSignal,
  ): Promise<void> {
    const key = this.#parts.endpoint.keyOf(object);
    const complete = async (): Promise<void> => {
      await this.#client.completeMultipartUpload(this.#bucket, key, uploadId, [...parts]);
    };
    try {
      await this.#call(`POST ${object}?uploadId`, complete, signal);
    } catch (thrown) {
      // An attempt whose reply was lost has ended the upload.
      const isOver = thrown instanceof S3Fault && thrown.code === "NoSuchUpload";
      if (!isOver || (await this.sizeOf(object)) !== bytes) throw thrown;
    }
  }

  /** Removes an upload and its parts. */
  async abortUpload(object: string, uploadId: string): Promise<void> {
    const key = this.#parts.endpoint.keyOf(object);
    try {
      await this.#call(`DELETE ${object}?uploadId`, () =>
        this.#client.abortMultipartUpload(this.#bucket, key, encodeURIComponent(uploadId)),
      );
    } catch (thrown) {
      if (!(thrown instanceof S3Fault && thrown.code === "NoSuchUpload")) throw thrown;
    }
  }

  /** The id of the upload that began last under this key, or undefined when none is unfinished. */
  async uploadIdOf(object: string): Promise<string | undefined> {
    const key = this.#parts.endpoint.keyOf(object);
    const list = () => this.#client.listIncompleteUploadsQuery(this.#bucket, key, "", "", "");
    const { uploads } = await this.#call("GET ?uploads", list);
    const begun = uploads.filter((upload) => upload.key === key);
    return begun.toSorted((a, b) => b.initiated.getTime() - a.initiated.getTime())[0]?.uploadId;
  }

  /** The parts of an upload that have arrived. */
  async partsOf(object: string, uploadId: string): Promise<readonly (UploadedPart & { readonly bytes: number })[]> {
    const key = this.#parts.endpoint.keyOf(object);
    const parts = await this.#call(`GET ${object}?uploadId`, () => this.#client.partsOf(this.#bucket, key, uploadId));
    return parts.map(({ part, etag, size }) => ({ part, etag, bytes: size }));
  }

  /**
   * Removes uploads that nobody finishes any more: those that began before `startedBeforeMs`, whose processes are long
   * dead, and those of publishers that have expired at `nowMs`, both Unix milliseconds. MinIO lists an upload only to
   * who asks for its whole key, but removes them by itself after a day.
   */
  async abortUploads(startedBeforeMs: number, nowMs: number, signal: AbortSignal): Promise<void> {
    for (const prefix of namePrefixes) {
      const front = this.#parts.endpoint.keyOf(prefix);
      let [key, id] = ["", ""];
      while (true) {
        const [keyMarker, idMarker] = [key, id];
        const next = () => this.#client.listIncompleteUploadsQuery(this.#bucket, front, keyMarker, idMarker, "");
        const page = await this.#call("GET ?uploads", next, signal);
        for (const upload of page.uploads) {
          const object = prefix + upload.key.slice(front.length);
          const isOver =
            upload.initiated.getTime() < startedBeforeMs || (uploadExpiresAtMs(object) ?? Number.MAX_VALUE) < nowMs;
          if (isOver && isOwnName(object)) {
            await this.abortUpload(object, upload.uploadId);
          }
        }
        if (!page.isTruncated) break;
        [key, id] = [page.nextKeyMarker, page.nextUploadIdMarker];
      }
    }
  }

  /** See `BodyStore.list`: the objects of this store only, whatever else is in the bucket. */
  async *list(): AsyncGenerator<readonly StoredObject[]> {
    for (const prefix of namePrefixes) {
      const front = this.#parts.endpoint.keyOf(prefix);
      let token = "";
      do {
        const from = token;
        const page = await this.#call("GET ?list-type=2", () =>
          this.#client.listObjectsV2Query(this.#bucket, front, from, "", pageObjectsMax, ""),
        ).catch((thrown: unknown) => {
          throw storeError(thrown);
        });
        const objects: StoredObject[] = [];
        for (const { name, size, lastModified } of page.objects) {
          if (name === undefined) continue;
          const object = prefix + name.slice(front.length);
          if (isOwnName(object)) objects.push(listedObject(object, size, lastModified.getTime()));
        }
        if (objects.length > 0) yield objects;
        token = page.isTruncated ? page.nextContinuationToken : "";
      } while (token !== "");
    }
  }

  /**
   * Deletes up to 1000 objects in one request; those that are not there count as deleted.
   * @returns the errors of those that were not deleted
   * @throws S3Fault when the request as a whole was not carried out
   */
  async removeTogether(objects: readonly string[]): Promise<ReadonlyMap<string, S3Fault>> {
    const byKey = new Map(objects.map((object) => [this.#parts.endpoint.keyOf(object), object]));
    const remove = (): ReturnType<Client["removeObjects"]> =>
      this.#client.removeObjects(this.#bucket, [...byKey.keys()]);
    const failed = new Map<string, S3Fault>();
    for (const error of (await this.#call("POST ?delete", remove)).map(errorOf)) {
      const object = error === undefined ? undefined : byKey.get(error.key);
      if (error === undefined || object === undefined || error.code === "NoSuchKey") continue;
      failed.set(object, new S3Fault(faultKind(400, error.code), `DELETE ${object}: ${error.code}`, error.code));
    }
    return failed;
  }

  /** Deletes one object; one that is not there counts as deleted. */
  async removeOne(object: string): Promise<void> {
    const key = this.#parts.endpoint.keyOf(object);
    try {
      await this.#call(`DELETE ${object}`, () => this.#client.removeObject(this.#bucket, key));
    } catch (thrown) {
      if (!(thrown instanceof S3Fault && thrown.kind === "missing")) throw thrown;
    }
  }

  /** Lets go of the sockets. */
  close(): void {
    this.#agent.destroy();
  }

  /** Bytes of an object, or undefined when there is none. */
  async sizeOf(object: string): Promise<number | undefined> {
    const key = this.#parts.endpoint.keyOf(object);
    try {
      return (await this.#call(`HEAD ${object}`, () => this.#client.statObject(this.#bucket, key))).size;
    } catch (thrown) {
      if (thrown instanceof S3Fault && thrown.kind === "missing") return undefined;
      throw thrown;
    }
  }

  #call<T>(what: string, request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { observe = () => undefined, retry } = this.#parts;
    const method = what.slice(0, what.indexOf(" "));
    const attempt = async (attemptSignal: AbortSignal): Promise<T> => {
      try {
        return await abortable(request(), attemptSignal);
      } catch (thrown) {
        throw clientFault(thrown, what);
      }
    };
    return retry.run((attemptSignal) => observedCall(observe, method, () => attempt(attemptSignal), outcomeOf), {
      signal,
    });
  }
}

/** One error of a multi-delete, as it stood in the XML; `minio`'s type says otherwise. */
const errorOf = (entry: unknown): { readonly key: string; readonly code: string } | undefined => {
  if (typeof entry !== "object" || entry === null || !("Key" in entry)) return undefined;
  return { key: String(entry.Key), code: "Code" in entry ? String(entry.Code) : "" };
};

/** `minio` knows an answer by its code alone, and some answers not even by that. */
const clientFault = (thrown: unknown, what: string): S3Fault => {
  if (!(thrown instanceof S3Error)) return toFault(thrown, what);
  const code = thrown.code ?? "";
  // An error in the body of a 200 comes without its code: completing failed and may be tried again.
  if (code === "") return new S3Fault("busy", `${what}: ${thrown.message}`, "", thrown);
  const kind = code === "NotFound" ? "missing" : faultKind(400, code);
  return new S3Fault(kind, `${what}: ${code}`, code, thrown);
};

/** Node's, with a time limit for each request, the certificates, and the address to connect to. */
const transportOf = ({ address, ca, endpoint, requestMsMax }: S3AdminParts): Pick<typeof http, "request"> => {
  const { serverName } = endpoint;
  const send = serverName === undefined ? http.request : https.request;
  const request = (options: https.RequestOptions, answered: (answer: http.IncomingMessage) => void) =>
    send(
      {
        ...options,
        signal: AbortSignal.timeout(requestMsMax),
        ...(address.connectHost === undefined ? {} : { host: address.connectHost }),
        ...(serverName === undefined ? {} : { servername: serverName }),
        ...(ca === undefined ? {} : { ca }),
      },
      (answer) => {
        if (unreadStatuses.has(answer.statusCode)) answer.resume();
        answered(answer);
      },
    );
  // `minio` uses this one of the three forms.
  return { request: request as typeof http.request };
};
