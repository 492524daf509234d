/**
 * HTTP and WebSocket under TLS, and a certificate that is replaced while the server runs.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { connect } from "../../client/index.ts";
import { type Certificate, selfSigned } from "../self-signed.ts";
import { startTestServer, type TestServer } from "../server.ts";
import { WsClient } from "../ws-client.ts";

setDefaultTimeout(30_000);

let folder: string;
let server: TestServer;
let current = selfSigned(["localhost"], ["127.0.0.1"]);

const certPath = (): string => join(folder, "cert.pem");
const keyPath = (): string => join(folder, "key.pem");
const env = (): Record<string, string> => ({ MTS_TLS_CERT: certPath(), MTS_TLS_KEY: keyPath() });

const write = async ({ cert, key }: Certificate): Promise<void> => {
  await writeFile(certPath(), cert);
  await writeFile(keyPath(), key);
};

/** Whether a new connection is shown this certificate: it is the only one that is trusted. */
const isShown = (url: string, { cert }: Certificate): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connectTls({ host: hostname, port: Number(port), ca: cert }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mts-tls-"));
  await write(current);
  server = await startTestServer({ env: env() });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe("under TLS", () => {
  test("the URL says https, and the certificate is the configured one", async () => {
    expect(server.url).toStartWith("https://127.0.0.1:");
    expect(await isShown(server.url, current)).toBe(true);
    expect(await isShown(server.url, selfSigned(["localhost"], ["127.0.0.1"]))).toBe(false);
  });

  test("HTTP, the WebSocket and the SDK work", async () => {
    const tls = { ca: current.cert };
    const stored = await fetch(`${server.url}/v1/subjects/tls.a/messages`, { method: "POST", body: "x", tls });
    expect(stored.status).toBe(201);
    const client = await WsClient.connect(server.wsUrl, "mts.msgpack.v1", { tls });
    expect((await client.publish({ subject: "tls.a", body: "y" })).sequence).toBe(2);
    await client.close();
    const webSocket = class extends WebSocket {
      constructor(url: string, protocols: string | string[]) {
        super(url, { protocols, tls });
      }
    };
    const mts = connect(server.url, { webSocket });
    expect((await mts.publish("tls.a", "z")).sequence).toBe(3);
    await mts.close();
  });

  test("plain HTTP gets nothing", async () => {
    const answer = await fetch(`${server.url.replace("https", "http")}/healthz`).then(
      ({ status }) => status,
      () => "refused",
    );
    expect(answer).not.toBe(200);
  });

  test("a port that is taken is refused all the same", async () => {
    const { port } = new URL(server.url);
    const second = startTestServer({ env: env(), flags: ["--http-port", port] });
    const message = await second.then(
      async (started) => {
        await started.close();
        return "started";
      },
      (error: unknown) => String(error),
    );
    expect(message).toContain(`port ${port} on 127.0.0.1 is taken`);
    expect(message).not.toContain("actor_waits");
  });
});

describe("a new certificate", () => {
  test("is shown to new connections; those that are open stay, also through a second one", async () => {
    const tls = { ca: current.cert };
    const client = await WsClient.connect(server.wsUrl, "mts.msgpack.v1", { tls });
    const subscription = await client.subscribe("tls.live");
    const waiting = fetch(`${server.url}/v1/subjects/tls.live/messages?from=new&wait_ms=60000`, { tls });
    for (let round = 1; round <= 2; round++) {
      const next = selfSigned(["localhost"], ["127.0.0.1"]);
      await write(next);
      await until(() => isShown(server.url, next));
      expect(await isShown(server.url, current)).toBe(false);
      current = next;
      const other = await WsClient.connect(server.wsUrl, "mts.msgpack.v1", { tls: { ca: current.cert } });
      await other.publish({ subject: "tls.live", body: `round ${round}` });
      await other.close();
      expect((await subscription.count(round)).length).toBe(round);
    }
    // Asked before the first change, answered by the first message after it.
    expect((await waiting).status).toBe(200);
    await client.ping();
    await client.close();
  });

  test("that is broken is named in the log, and the one before stays", async () => {
    const broken = selfSigned(["localhost"], ["127.0.0.1"]);
    for (const [cert, key, complaint] of [
      ["no certificate", current.key, "is no certificate in PEM"],
      [broken.cert, "no key", "is no private key"],
      [broken.cert, current.key, "does not belong to"],
    ] as const) {
      await write({ cert, key });
      await until(() => server.stderr.includes(complaint));
      expect(await isShown(server.url, current)).toBe(true);
    }
    await rm(certPath());
    await until(() => server.stderr.includes("cannot be read"));
    expect(server.stderr).not.toContain("PRIVATE KEY");
    await write(broken);
    await until(() => isShown(server.url, broken));
    current = broken;
  });

  test("does not hold up a stop: connections from before it are closed with 3001 too", async () => {
    const before = await WsClient.connect(server.wsUrl, "mts.msgpack.v1", { tls: { ca: current.cert } });
    const next = selfSigned(["localhost"], ["127.0.0.1"]);
    await write(next);
    await until(() => isShown(server.url, next));
    const after = await WsClient.connect(server.wsUrl, "mts.msgpack.v1", { tls: { ca: next.cert } });
    await server.stop();
    expect([(await before.closed).code, (await after.closed).code]).toEqual([3001, 3001]);
  });
});

test.each([
  ["no certificate", undefined, "is no certificate in PEM"],
  [undefined, "no key", "is no private key"],
] as const)("a server does not start with a file that is none", async (cert, key, complaint) => {
  const valid = selfSigned(["localhost"]);
  await write({ cert: cert ?? valid.cert, key: key ?? valid.key });
  const message = await startTestServer({ env: env() }).then(
    async (started) => {
      await started.close();
      return "started";
    },
    (error: unknown) => String(error),
  );
  expect(message).toContain(complaint);
});
