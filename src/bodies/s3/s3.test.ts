/**
 * The S3 driver against a real MinIO: the cases of every driver, ways to address and to trust a server, listings. What
 * a network does to it is in `writing.test.ts`, `reading.test.ts` and `large-objects.test.ts`.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { createServer } from "node:tls";
import { asked, codeOf, isGet, s3Options, smallestPartBytes, useS3, virtualDomain } from "../../testing/s3-store.ts";
import { selfSigned } from "../../testing/self-signed.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { type BodiesUnderTest, bodyCases, expectBytes, patternBytes, rejectionOf, writeBodies } from "../cases.ts";
import { Endpoint } from "./endpoint.ts";
import { openS3Bodies, type S3BodiesOptions } from "./index.ts";
import { emptySha256, Signer } from "./sigv4.ts";

const s3 = useS3();

const contractCases = (
  name: string,
  optionsNow: () => S3BodiesOptions,
  more: Pick<BodiesUnderTest, "send"> = {},
): void =>
  bodyCases(name, async () => {
    const options = optionsNow();
    return { ...more, store: await s3.open(options), reopen: () => s3.open(options), dispose: async () => undefined };
  });

contractCases("s3", () => s3Options(s3.minio.endpoint));
// The same through TLS, with the bucket in the host name, which no name server knows, and with the smallest parts.
contractCases("s3, virtual hosts, TLS", () => virtualOptions(), {
  send: (address, init) => {
    const url = new URL(address);
    const { host, hostname } = url;
    url.hostname = "127.0.0.1";
    const headers = { ...(init.headers as Record<string, string>), host };
    return fetch(url, { ...init, headers, tls: { serverName: hostname, ca: certificate.cert } });
  },
});

const certificate = selfSigned([`*.${virtualDomain}`]);
const terminator = createServer({ cert: certificate.cert, key: certificate.key }, (client) => {
  const server = connect(s3.minio.port, "127.0.0.1");
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
  return s3Options(s3.minio.endpoint, {
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

describe("opening", () => {
  test("a bucket that is missing is made, also when two nodes start at once", async () => {
    const options = s3Options(s3.minio.endpoint, { bucket: "made-when-missing" });
    const [one, other] = await Promise.all([s3.open(options), s3.open(options)]);
    const body = patternBytes(100, 1);
    expectBytes((await other.read(await writeBodies(one, [body])))[0], body);
  });

  test.each([
    ["a wrong secret", {}, "SignatureDoesNotMatch"],
    ["an unknown key", { accessKey: "nobody" }, "InvalidAccessKeyId"],
  ])("%s is told as what it is, without the secret", async (_, change, code) => {
    const wrong = { accessKey: "minioadmin", secretKey: "minioadmin-but-wrong", ...change };
    const thrown = await rejectionOf(openS3Bodies(s3Options(s3.minio.endpoint, wrong)));
    expect(codeOf(thrown)).toBe("unavailable");
    expect(String(thrown)).toContain(code);
    expect(Bun.inspect(thrown)).not.toContain(wrong.secretKey);
  });

  test("a server that is not there, and a certificate that nobody vouches for", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: s3.minio.port });
    await proxy.refuse();
    const gone = s3Options({ ...s3.minio.endpoint, port: proxy.port }, { deadlineMs: 200 });
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
      contentSha256: emptySha256,
    });
    expect(headers["authorization"]).toEndWith(
      "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
  });
});

test("neighbours are read in one request, objects side by side", async () => {
  const { store, proxy } = await s3.behindProxy();
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
  const options = s3Options(s3.minio.endpoint);
  const store = await s3.open(options);
  const { accessKey, secretKey, port, region } = s3.minio.endpoint;
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
