/**
 * The S3 driver against a real MinIO: the cases of every driver, ways to address and to trust a server, and what only
 * a network store suffers (lost replies, errors that pass, cut and silent connections, a server that dies).
 * @module
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { StreamError } from "../../core/errors.ts";
import type { Envelope } from "../../core/message.ts";
import { type MinioEndpoint, startMinio, type TestMinio } from "../../testing/minio.ts";
import { type S3Fault, type S3Proxy, type SeenRequest, startS3Proxy } from "../../testing/s3-proxy.ts";
import { selfSigned } from "../../testing/self-signed.ts";
import { startTcpProxy, type TcpProxy } from "../../testing/tcp-proxy.ts";
import {
  bodyCases,
  chunksOf,
  collect,
  expectBytes,
  patternBytes,
  rejectionOf,
  writeBodies,
  writeLarge,
} from "../cases.ts";
import { type BodyStore, isBodyFault } from "../contract.ts";
import { VerifiedBodies } from "../verified.ts";
import { Endpoint } from "./endpoint.ts";
import { openS3Bodies, type S3BodiesOptions } from "./index.ts";
import { emptySha256, Signer } from "./sigv4.ts";

const MiB = 1024 * 1024;
const smallestPartBytes = 5 * MiB;
const virtualDomain = "s3.example.test";
/** A whole run of the machine: the first one builds MinIO. */
const buildMsMax = 15 * 60_000;

let minio: TestMinio;
beforeAll(async () => {
  minio = await startMinio({ domain: virtualDomain });
}, buildMsMax);
afterAll(() => minio.stop());

let prefixes = 0;
const newPrefix = (): string => `t${prefixes++}/`;

const optionsFor = (endpoint: MinioEndpoint, more: Partial<S3BodiesOptions> = {}): S3BodiesOptions => ({
  ...endpoint,
  bucket: "bodies",
  addressing: "path",
  prefix: newPrefix(),
  ...more,
});

const stores: BodyStore[] = [];
const open = async (options: S3BodiesOptions): Promise<BodyStore> => {
  const store = await openS3Bodies(options);
  stores.push(store);
  return store;
};
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

const contractCases = (name: string, optionsNow: () => S3BodiesOptions): void =>
  bodyCases(name, async () => {
    const options = optionsNow();
    return { store: await open(options), reopen: () => open(options), dispose: async () => undefined };
  });

contractCases("s3", () => optionsFor(minio.endpoint));
// The same through TLS, with the bucket in the host name, which no name server knows, and with the smallest parts.
contractCases("s3, virtual hosts, TLS", () => virtualOptions());

const certificate = selfSigned([`*.${virtualDomain}`]);
const terminator = createServer({ cert: certificate.cert, key: certificate.key }, (client) => {
  const server = connect(minio.port, "127.0.0.1");
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
});
beforeAll(() => new Promise<void>((resolve) => terminator.listen(0, "127.0.0.1", resolve)));
afterAll(() => terminator.close());

const virtualOptions = (more: Partial<S3BodiesOptions> = {}): S3BodiesOptions => {
  const address = terminator.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  return optionsFor(minio.endpoint, {
    host: virtualDomain,
    connectHost: "127.0.0.1",
    port: address.port,
    tls: true,
    addressing: "virtual",
    ca: certificate.cert,
    partBytes: smallestPartBytes,
    ...more,
  });
};

const codeOf = (thrown: unknown): string =>
  thrown instanceof StreamError ? thrown.code : `not ours: ${String(thrown)}`;

/** A store behind an HTTP proxy, with what the proxy saw of the opening forgotten. */
const behindProxy = async (more: Partial<S3BodiesOptions> = {}): Promise<{ store: BodyStore; proxy: S3Proxy }> => {
  const proxy = await startS3Proxy({ host: "127.0.0.1", port: minio.port });
  proxies.push(proxy);
  const store = await open(optionsFor({ ...minio.endpoint, port: proxy.port }, more));
  proxy.clear();
  return { store, proxy };
};
const proxies: (S3Proxy | TcpProxy)[] = [];
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

/** What the proxy saw, without the look for old uploads that an opening begins and does not wait for. */
const asked = (proxy: S3Proxy): readonly SeenRequest[] => proxy.seen.filter(isNoLookForUploads);

const listed = async (store: BodyStore): Promise<readonly string[]> =>
  (await Array.fromAsync(store.list())).flat().map(({ object }) => object);

const envelopeOf = (body: Envelope["body"]): Envelope => ({
  subject: "a" as Envelope["subject"],
  sequence: 1,
  timestampMs: 0,
  headers: {},
  body,
});

const isPut = ({ method }: SeenRequest): boolean => method === "PUT";
const isNoLookForUploads = ({ target }: SeenRequest): boolean => !target.includes("?uploads&");
const isGet = (request: SeenRequest): boolean => request.method === "GET" && isNoLookForUploads(request);
const isPart = ({ target }: SeenRequest): boolean => target.includes("partNumber=");

describe("opening", () => {
  test("a bucket that is missing is made, also when two nodes start at once", async () => {
    const options = optionsFor(minio.endpoint, { bucket: "made-when-missing" });
    const [one, other] = await Promise.all([open(options), open(options)]);
    const body = patternBytes(100, 1);
    expectBytes((await other.read(await writeBodies(one, [body])))[0], body);
  });

  test.each([
    ["a wrong secret", {}, "SignatureDoesNotMatch"],
    ["an unknown key", { accessKey: "nobody" }, "InvalidAccessKeyId"],
  ])("%s is told as what it is, without the secret", async (_, change, code) => {
    const wrong = { accessKey: "minioadmin", secretKey: "minioadmin-but-wrong", ...change };
    const thrown = await rejectionOf(openS3Bodies(optionsFor(minio.endpoint, wrong)));
    expect(codeOf(thrown)).toBe("unavailable");
    expect(String(thrown)).toContain(code);
    expect(Bun.inspect(thrown)).not.toContain(wrong.secretKey);
  });

  test("a server that is not there, and a certificate that nobody vouches for", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: minio.port });
    await proxy.refuse();
    const gone = optionsFor({ ...minio.endpoint, port: proxy.port }, { deadlineMs: 200 });
    const untrusted = virtualOptions({ ca: undefined, deadlineMs: 200 });
    const otherName = virtualOptions({ bucket: "other.bucket", deadlineMs: 200 });
    for (const options of [gone, untrusted, otherName]) {
      expect(codeOf(await rejectionOf(openS3Bodies(options)))).toBe("unavailable");
    }
  });

  test("the port of the protocol is no part of the signed host", () => {
    const address = { host: "s3.example.test", bucket: "abc", prefix: "p/", tls: true } as const;
    const path = new Endpoint({ ...address, port: 443, addressing: "path" });
    expect([path.host, path.target("s/1").url]).toEqual(["s3.example.test", "https://s3.example.test/abc/p/s/1"]);
    const virtual = new Endpoint({ ...address, port: 9000, addressing: "virtual", connectHost: "::1" });
    expect([virtual.host, virtual.serverName]).toEqual(["abc.s3.example.test:9000", "abc.s3.example.test"]);
    expect(virtual.target("s/1", "a=1")).toEqual({ path: "/p/s/1", url: "https://[::1]:9000/p/s/1?a=1" });
  });

  test("the signature is the one of the documentation's example", () => {
    const signer = new Signer(
      {
        accessKey: "AKIAIOSFODNN7EXAMPLE",
        secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
      },
      () => Date.UTC(2013, 4, 24),
    );
    const headers = signer.headers({
      method: "GET",
      host: "examplebucket.s3.amazonaws.com",
      path: "/",
      query: "max-keys=2&prefix=J",
      bodySha256: emptySha256,
    });
    expect(headers["authorization"]).toEndWith(
      "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
  });
});

describe("writing while things go wrong", () => {
  const passing: readonly (readonly [string, S3Fault, number])[] = [
    ["a lost reply", { kind: "reply lost" }, 1],
    ["three lost replies", { kind: "reply lost" }, 3],
    ["a reply that never comes", { kind: "no reply" }, 1],
    ["SlowDown twice", { kind: "answer", status: 503, code: "SlowDown" }, 2],
    ["500 twice", { kind: "answer", status: 500, code: "InternalError" }, 2],
    ["a gateway's 502 and no S3 code", { kind: "answer", status: 502, code: "" }, 1],
    ["a request that timed out, as 400", { kind: "answer", status: 400, code: "RequestTimeout" }, 1],
    ["a body damaged on its way", { kind: "request damaged" }, 1],
  ];
  test.each(passing)("a segment survives %s, as one object", async (_, fault, times) => {
    const { store, proxy } = await behindProxy({ deadlineMs: 3000 });
    proxy.inject(fault, times, isPut);
    const bodies = [patternBytes(100, 1), patternBytes(100_000, 2)];
    const refs = await writeBodies(store, bodies);
    const puts = proxy.seen.filter(isPut);
    expect(puts).toHaveLength(times + 1);
    expect(new Set(puts.map(({ target }) => target)).size).toBe(1);
    expect(await listed(store)).toEqual([refs[0]?.object ?? ""]);
    const read = await store.read(refs);
    for (const [index, body] of bodies.entries()) expectBytes(read[index], body);
  });

  const lasting: readonly (readonly [number, string, string])[] = [
    [507, "XMinioStorageFull", "storage_full"],
    [507, "", "storage_full"],
    [403, "QuotaExceeded", "storage_full"],
    [403, "AccessDenied", "unavailable"],
    [404, "NoSuchBucket", "unavailable"],
  ];
  test.each(lasting)("%d %s is not tried again: %s", async (status, code, wanted) => {
    const { store, proxy } = await behindProxy();
    proxy.inject({ kind: "answer", status, code }, 100, isPut);
    for (const refused of [
      store.writeSegment([patternBytes(9, 1)]),
      writeLarge(store, chunksOf([patternBytes(9, 1)])),
    ]) {
      const thrown = await rejectionOf(refused);
      expect(codeOf(thrown)).toBe(wanted);
      expect(String(thrown)).toContain(code);
    }
    expect(asked(proxy)).toHaveLength(2);
  });

  test("a server that stays busy or away: unavailable when the time is over", async () => {
    const { store, proxy } = await behindProxy({ deadlineMs: 200 });
    proxy.inject({ kind: "answer", status: 503, code: "SlowDown" }, 10_000);
    const body = patternBytes(9, 1);
    expect(codeOf(await rejectionOf(store.writeSegment([body])))).toBe("unavailable");
    expect(codeOf(await rejectionOf(writeLarge(store, chunksOf([body]))))).toBe("unavailable");
    expect(proxy.seen.length).toBeGreaterThan(2);
    await proxy.stop();
    expect(codeOf(await rejectionOf(store.writeSegment([body])))).toBe("unavailable");
    expect(codeOf(await rejectionOf(store.ready()))).toBe("unavailable");
    expect(codeOf(await rejectionOf(listed(store)))).toBe("unavailable");
  });

  test("connections that are cut in the middle of a body", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: minio.port });
    proxies.push(proxy);
    const store = await open(optionsFor({ ...minio.endpoint, port: proxy.port }));
    const bodies = [patternBytes(2 * MiB, 1)];
    const cut = proxy.cutAfter(MiB, "up");
    const refs = await writeBodies(store, bodies);
    await cut;
    const large = patternBytes(20 * MiB, 2);
    const cutAgain = proxy.cutAfter(13 * MiB, "up");
    const ref = await writeLarge(store, chunksOf([large]));
    await cutAgain;
    const cutDown = proxy.cutAfter(MiB, "down");
    expectBytes((await store.read(refs))[0], bodies[0] ?? large);
    await cutDown;
    expectBytes(await collect(store.stream(ref)), large);
    expect(new Set(await listed(store))).toEqual(new Set([ref.object, refs[0]?.object ?? ""]));
    expect(await leftOverUploads()).toEqual([]);
  });

  test("MinIO is killed and comes back: writes that were under way succeed", async () => {
    const own = await startMinio();
    try {
      const store = await open(optionsFor(own.endpoint, { deadlineMs: 20_000 }));
      const before = patternBytes(1000, 0);
      const refs = await writeBodies(store, [before]);
      await own.kill("SIGKILL");
      const bodies = [1, 2, 3].map((seed) => patternBytes(1000, seed));
      const writing = bodies.map((body) => writeBodies(store, [body]));
      const large = patternBytes(300_000, 4);
      const writingLarge = writeLarge(store, chunksOf([large]));
      const reading = store.read(refs);
      await own.restart();
      expectBytes((await reading)[0], before);
      const after = [...(await Promise.all(writing)).flat(), await writingLarge];
      const read = await store.read(after);
      for (const [index, body] of [...bodies, large].entries()) expectBytes(read[index], body);
      await store.close();
    } finally {
      await own.stop();
    }
  }, 60_000);
});

/** MinIO lists an incomplete upload only to who knows its key, so this looks where it keeps them. */
const leftOverUploads = async (): Promise<readonly string[]> => {
  const folder = join(minio.dir, ".minio.sys", "multipart");
  if (!existsSync(folder)) return [];
  return Array.fromAsync(new Bun.Glob("**/xl.meta").scan({ cwd: folder, dot: true }));
};

describe("large bodies", () => {
  const steps = (seen: readonly SeenRequest[]): readonly string[] =>
    seen.map(({ method, target }) => {
      const [, query = ""] = target.split("?");
      return query.startsWith("partNumber=") ? "part" : `${method}${query.startsWith("uploads") ? " start" : ""}`;
    });

  test("up to a part they go in one PUT, above in parts", async () => {
    const { store, proxy } = await behindProxy({ partBytes: smallestPartBytes });
    await writeLarge(store, chunksOf([patternBytes(smallestPartBytes, 1)]));
    expect(steps(asked(proxy))).toEqual(["PUT"]);
    proxy.clear();
    const body = patternBytes(2 * smallestPartBytes + 1, 2);
    const ref = await writeLarge(store, chunksOf([body]));
    expect(steps(asked(proxy)).toSorted()).toEqual(["POST", "POST start", "part", "part", "part"]);
    expectBytes(await collect(store.stream(ref)), body);
  });

  const survived: readonly (readonly [string, S3Fault, (request: SeenRequest) => boolean])[] = [
    ["the start", { kind: "reply lost" }, ({ target }) => target.includes("?uploads")],
    ["a part", { kind: "reply lost" }, isPart],
    ["a part, damaged on its way", { kind: "request damaged" }, isPart],
    ["the end", { kind: "reply lost" }, ({ method, target }) => method === "POST" && target.includes("uploadId=")],
    [
      "the end, refused for a moment",
      { kind: "answer", status: 503, code: "SlowDown" },
      ({ method, target }) => method === "POST" && target.includes("uploadId="),
    ],
  ];
  test.each(survived)("a fault of %s is survived", async (_, fault, concerns) => {
    const { store, proxy } = await behindProxy({ partBytes: smallestPartBytes });
    proxy.inject(fault, 1, concerns);
    const body = patternBytes(2 * smallestPartBytes + 1, 2);
    const ref = await writeLarge(store, chunksOf([body]));
    expect(proxy.seen.filter(concerns).length).toBeGreaterThan(1);
    expectBytes(await collect(store.stream(ref)), body);
    expect(await listed(store)).toEqual([ref.object]);
  });

  test("an upload that fails leaves nothing", async () => {
    const { store, proxy } = await behindProxy({ partBytes: smallestPartBytes });
    const before = await leftOverUploads();
    const body = patternBytes(3 * smallestPartBytes, 2);
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 1, isPart);
    expect(codeOf(await rejectionOf(writeLarge(store, chunksOf([body]))))).toBe("unavailable");

    const broken = new Error("the client has gone");
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      throw broken;
    };
    expect(await rejectionOf(writeLarge(store, source()))).toBe(broken);

    const controller = new AbortController();
    const aborting = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      expect(await leftOverUploads()).not.toEqual(before);
      controller.abort(broken);
      yield body;
    };
    expect(await rejectionOf(writeLarge(store, aborting(), controller.signal))).toBe(broken);
    expect(proxy.seen.filter(({ method }) => method === "DELETE")).toHaveLength(3);
    expect(await leftOverUploads()).toEqual(before);
    expect(await listed(store)).toEqual([]);
  });

  // MinIO lists incomplete uploads only to who knows their keys, so this needs an S3 that is made up.
  test("uploads of dead processes are removed after a day, others' never", async () => {
    const nowMs = Date.UTC(2026, 0, 10);
    const [old, young] = ["2026-01-08T12:00:00.000Z", "2026-01-09T12:00:00.000Z"];
    const upload = (key: string, id: string, initiated: string): string =>
      `<Upload><Key>p/${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
    const uploads = [
      upload("o/ab/0mh8x3k2p7d1v0aaq", "id-1+/=", old),
      upload("o/ab/0mh8x3k2p7d1v0aar", "id-2", young),
      upload("o/ab/somebody-else", "id-3", old),
    ].join("");
    const removed: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ method, url }) => {
        const { searchParams, pathname } = new URL(url);
        if (method === "DELETE") removed.push(`${pathname} ${searchParams.get("uploadId") ?? ""}`);
        if (method === "DELETE") return new Response(null, { status: 204 });
        const page = searchParams.get("prefix") === "p/o/" ? uploads : "";
        const tag = "ListMultipartUploadsResult";
        return new Response(`<${tag}><IsTruncated>false</IsTruncated>${page}</${tag}>`);
      },
    });
    const port = server.port ?? 0;
    const store = await open(optionsFor({ ...minio.endpoint, port }, { prefix: "p/", nowMs: () => nowMs }));
    await store.close();
    await server.stop(true);
    expect(removed).toEqual(["/bodies/p/o/ab/0mh8x3k2p7d1v0aaq id-1+/="]);
  });

  test("no more than a few parts are taken from the source before the server has them", async () => {
    const { store, proxy } = await behindProxy({ partBytes: smallestPartBytes });
    const chunk = patternBytes(MiB, 1);
    let aheadBytesMax = 0;
    const source = async function* (): AsyncIterable<Uint8Array> {
      for (let taken = 0; taken < 48 * MiB; taken += MiB) {
        const arrived = proxy.seen.filter(isPart).reduce((sum, { bytes }) => sum + bytes, 0);
        aheadBytesMax = Math.max(aheadBytesMax, taken - arrived);
        yield await Promise.resolve(chunk);
      }
    };
    const ref = await writeLarge(store, source());
    expect(ref.length).toBe(48 * MiB);
    expect(aheadBytesMax).toBeLessThanOrEqual(3 * smallestPartBytes + MiB);
  });
});

describe("reading while things go wrong", () => {
  const passing: readonly (readonly [string, S3Fault, number])[] = [
    ["half an answer, twice", { kind: "half body" }, 2],
    ["no answer", { kind: "reply lost" }, 1],
    ["SlowDown", { kind: "answer", status: 503, code: "SlowDown" }, 2],
  ];
  test.each(passing)("%s", async (_, fault, times) => {
    const { store, proxy } = await behindProxy();
    const body = patternBytes(100_000, 1);
    const refs = await writeBodies(store, [body]);
    const large = patternBytes(3 * MiB, 2);
    const ref = await writeLarge(store, chunksOf([large]));
    proxy.inject(fault, times, isGet);
    expectBytes((await store.read(refs))[0], body);
    proxy.inject(fault, times, isGet);
    expectBytes(await collect(store.stream(ref)), large);
  });

  test("a wrong byte is a loss to who verifies, and is gone with the next read", async () => {
    const { store, proxy } = await behindProxy();
    const body = patternBytes(1000, 1);
    const [ref] = await writeBodies(store, [body]);
    if (ref === undefined) throw new Error("There is one.");
    const verified = new VerifiedBodies(store);
    proxy.inject({ kind: "wrong byte" }, 1, isGet);
    expect(codeOf((await verified.read([envelopeOf(ref)]))[0])).toBe("data_loss");
    expectBytes((await verified.read([envelopeOf(ref)]))[0], body);
  });

  test("a bucket or a right that is missing is no missing body", async () => {
    const { store, proxy } = await behindProxy();
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    for (const [status, code] of [
      [404, "NoSuchBucket"],
      [403, "AccessDenied"],
      [404, ""],
    ] as const) {
      proxy.inject({ kind: "answer", status, code }, 2, isGet);
      const [result] = await store.read([ref]);
      expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("failed");
      expect(codeOf(await rejectionOf(collect(store.stream(ref))))).toBe("unavailable");
    }
  });

  test("a server that is silent: failed when the time is over, and fine when it is back", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: minio.port });
    proxies.push(proxy);
    const store = await open(optionsFor({ ...minio.endpoint, port: proxy.port }, { deadlineMs: 300 }));
    const body = patternBytes(1000, 1);
    const [ref] = await writeBodies(store, [body]);
    if (ref === undefined) throw new Error("There is one.");
    proxy.pause();
    const [result] = await store.read([ref]);
    expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("failed");
    expect(codeOf(await rejectionOf(collect(store.stream(ref))))).toBe("unavailable");
    proxy.resume();
    expectBytes((await store.read([ref]))[0], body);
  });

  test("names that lead elsewhere are no objects", async () => {
    const { store, proxy } = await behindProxy();
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    for (const object of ["s/../../other/s/1", "..", "s/./1", "s/1?a=1", "S/1"]) {
      const [result] = await store.read([{ ...ref, object }]);
      expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("missing");
    }
    expect(asked(proxy).filter(isGet)).toEqual([]);
  });
});

test("neighbours are read in one request, objects side by side", async () => {
  const { store, proxy } = await behindProxy();
  const bodies = Array.from({ length: 50 }, (_, seed) => patternBytes(1000, seed));
  const refs = await writeBodies(store, bodies);
  const others = (await Promise.all([1, 2, 3].map((seed) => writeBodies(store, [patternBytes(1000, seed)])))).flat();
  proxy.clear();
  await store.read([...refs, ...others].toReversed());
  expect(asked(proxy).map(({ method }) => method)).toEqual(["GET", "GET", "GET", "GET"]);
  // A small hole is read over, a large one is not.
  proxy.clear();
  const far = await writeBodies(store, [patternBytes(10, 1), patternBytes(100_000, 2), patternBytes(10, 3)]);
  await store.read(far.filter((_, index) => index !== 1));
  await store.read(refs.filter((_, index) => index % 10 === 0));
  expect(asked(proxy).filter(isGet)).toHaveLength(3);
});

test("a listing shows what this store wrote, page after page, and nothing else in the bucket", async () => {
  const options = optionsFor(minio.endpoint);
  const store = await open(options);
  const { accessKey, secretKey, port, region } = minio.endpoint;
  const foreign = new Bun.S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    bucket: "bodies",
    region,
    accessKeyId: accessKey,
    secretAccessKey: secretKey,
  });
  for (const key of ["s/readme.txt", "notes/1", "o/ab/UPPER", "other"]) await foreign.write(options.prefix + key, "x");
  const wanted: string[] = [];
  for (let round = 0; round < 21; round++) {
    const refs = await Promise.all(Array.from({ length: 50 }, () => writeBodies(store, [patternBytes(1, 1)])));
    wanted.push(...refs.flat().map(({ object }) => object));
  }
  const pages = await Array.fromAsync(store.list());
  expect(pages.length).toBeGreaterThan(1);
  expect(
    pages
      .flat()
      .map(({ object }) => object)
      .toSorted(),
  ).toEqual(wanted.toSorted());
});
