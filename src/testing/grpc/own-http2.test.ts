/**
 * The HTTP/2 under gRPC where clients differ from the library's: windows that change while messages flow, and clients
 * that mean no good. `scripts/conformance/h2spec.ts` has the protocol itself.
 * @module
 */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { Metadata, status } from "@grpc/grpc-js";
import { someBytes, upTo } from "../expectations.ts";
import { callUnary, connectGrpc, loadService, methodOf } from "../grpc-client.ts";
import { HttpClient } from "../http-client.ts";
import { selfSigned } from "../self-signed.ts";
import { startTestServer, type TestServer, uniqueSubject, useTestServer } from "../server.ts";
import { callFrames, callHeaders, frame, RawH2, type, windowSettings, windowUpdate } from "./raw-h2.ts";

setDefaultTimeout(30_000);

const ingress = loadService("minitoolstream.proto", "minitoolstream.IngressService");
const egress = loadService("minitoolstream.proto", "minitoolstream.EgressService");
const fetchPath = "/minitoolstream.EgressService/Fetch";
const checkPath = "/grpc.health.v1.Health/Check";
const publishPath = "/minitoolstream.IngressService/Publish";
const enhanceYourCalm = 11;

/** A client that behaves is answered as ever. */
const expectAnswered = async (server: TestServer): Promise<void> => {
  const client = connectGrpc(server.grpcTarget);
  const reply = await callUnary(client, methodOf(ingress, "Publish"), { subject: uniqueSubject("bystander") });
  expect(reply.integer("sequence")).toBe(1);
  client.close();
};

describe("windows", () => {
  const server = useTestServer();

  test("a window that is opened and then changed by SETTINGS keeps what was opened", async () => {
    const subject = uniqueSubject("window");
    const admin = new HttpClient(server().url);
    for (const seed of upTo(4)) await admin.publish({ subject, body: someBytes(500_000, seed) });
    const connection = await RawH2.open(server().grpcTarget);
    const request = methodOf(egress, "Fetch").requestSerialize({ subject, durable_name: "d" });
    connection.send(windowUpdate(0, 100_000_000), callFrames(1, fetchPath, request));
    const arrives = (bytes: number): Promise<void> => connection.until(() => connection.dataBytes(1) >= bytes);
    await arrives(65_535);
    // The order in which Go's clients do it: bytes that were read are given back, then the window is made larger.
    for (const size of [131_070, 294_888, 622_368, 1_179_908]) {
      connection.send(windowUpdate(1, 10_000), windowSettings(size));
      await arrives(size);
    }
    // All that was ever opened, and not a byte more: the answer to the ping comes behind it.
    await arrives(1_179_908 + 40_000);
    connection.send(frame(type.PING, 0, 0, Buffer.alloc(8)));
    await connection.until(() => connection.frames.some((received) => received.type === type.PING));
    expect(connection.dataBytes(1)).toBe(1_179_908 + 40_000);
    connection.send(windowUpdate(1, 10_000_000));
    await connection.until(() => connection.frames.some(isTrailers));
    expect(connection.dataBytes(1)).toBeGreaterThan(2_000_000);
    connection.close();
  });
});

const isTrailers = (received: { readonly type: number; readonly flags: number }): boolean =>
  received.type === type.HEADERS && (received.flags & 1) === 1;

describe("clients that mean no good", () => {
  const server = useTestServer({ env: { MTS_MAX_BODY_BYTES: "16MiB", MTS_MAX_INFLIGHT_BYTES: "16MiB" } });

  const floods: readonly (readonly [name: string, bytes: () => Buffer])[] = [
    ["pings", () => repeated(frame(type.PING, 0, 0, Buffer.alloc(8)), 50_000)],
    ["settings", () => repeated(frame(type.SETTINGS, 0, 0), 50_000)],
    ["frames of a type that nobody knows", () => repeated(frame(0x42, 0, 0), 50_000)],
    [
      "headers without end",
      () =>
        Buffer.concat([
          frame(type.HEADERS, 0, 1, callHeaders(checkPath)),
          repeated(frame(type.CONTINUATION, 0, 1, Buffer.alloc(1000)), 100),
        ]),
    ],
    [
      "streams that are reset at once",
      () =>
        Buffer.concat(
          upTo(20_000).map((index) => {
            const id = 2 * index - 1;
            return Buffer.concat([
              frame(type.HEADERS, 5, id, callHeaders(checkPath)),
              frame(3, 0, id, Buffer.from([0, 0, 0, 8])),
            ]);
          }),
        ),
    ],
  ];
  test.each(floods.map((row) => [...row] as [string, () => Buffer]))(
    "%s end the connection alone",
    async (_, bytes) => {
      const connection = await RawH2.open(server().grpcTarget);
      connection.send(bytes());
      expect((await connection.goaway()).code).toBe(enhanceYourCalm);
      await connection.closed;
      await expectAnswered(server());
    },
  );

  test("a server whose memory for requests is taken refuses large ones and answers small ones", async () => {
    const connection = await RawH2.open(server().grpcTarget);
    // Announces 16 MiB and sends most of it, as the windows are opened.
    const body = Buffer.alloc(15 * 1024 * 1024);
    const announced = Buffer.from([0, 1, 0, 0, 0]);
    connection.send(frame(type.HEADERS, 4, 1, callHeaders(publishPath)), frame(type.DATA, 0, 1, announced));
    const opened = (): number =>
      connection.frames
        .filter((received) => received.type === type.WINDOW_UPDATE && received.streamId === 1)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 1024 * 1024);
    let sent = announced.length;
    for (let at = 0; at < body.length; at += 16_384) {
      await connection.until(() => opened() - sent >= 16_384);
      connection.send(frame(type.DATA, 0, 1, body.subarray(at, at + 16_384)));
      sent += 16_384;
    }
    // What is not read yet is not counted yet: this comes behind it.
    connection.send(frame(type.PING, 0, 0, Buffer.alloc(8)));
    await connection.until(() => connection.frames.some((received) => received.type === type.PING));
    const client = connectGrpc(server().grpcTarget);
    const large = { subject: "large", data: Buffer.alloc(8 * 1024 * 1024) };
    const refused: unknown = await callUnary(client, methodOf(ingress, "Publish"), large, new Metadata()).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: status.UNAVAILABLE });
    await expectAnswered(server());
    connection.close();
    const again = (): Promise<unknown> => callUnary(client, methodOf(ingress, "Publish"), large).catch(() => undefined);
    while ((await again()) === undefined) await expectAnswered(server());
    client.close();
  });
});

const repeated = (bytes: Buffer, times: number): Buffer => Buffer.concat(new Array<Buffer>(times).fill(bytes));

describe("connections of one address", () => {
  const server = useTestServer({ env: { MTS_MAX_CONNECTIONS_PER_ADDRESS: "2" } });

  test("one too many is told so, and a place is free again when another has gone", async () => {
    const [first, second] = [await RawH2.open(server().grpcTarget), await RawH2.open(server().grpcTarget)];
    const third = await RawH2.open(server().grpcTarget);
    expect(await third.goaway()).toEqual({ code: enhanceYourCalm, text: "too_many_connections" });
    first.send(callFrames(1, checkPath, Buffer.alloc(0)));
    await first.until(() => first.frames.some(isTrailers));
    first.close();
    await first.closed;
    const isServed = async (): Promise<boolean> => {
      const next = await RawH2.open(server().grpcTarget);
      next.send(callFrames(1, checkPath, Buffer.alloc(0)));
      await next.until(() => next.frames.some((received) => received.type === type.GOAWAY || isTrailers(received)));
      next.close();
      return next.frames.some(isTrailers);
    };
    while (!(await isServed()));
    second.close();
  });
});

describe("certificate", () => {
  const connectTls = (target: string): Promise<TLSSocket> => {
    const [host, port] = target.split(":");
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    return new Promise((resolve, reject) => {
      socket.once("secureConnect", () => resolve(socket)).once("error", reject);
    });
  };

  test("a new one is used for new connections, and those that are open stay", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mts-test-"));
    const paths = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const install = async (): Promise<string> => {
      const { cert, key } = selfSigned(["localhost"], ["127.0.0.1"]);
      await Promise.all([writeFile(paths.cert, cert), writeFile(paths.key, key)]);
      return new X509Certificate(cert).fingerprint256;
    };
    const first = await install();
    await using server = await startTestServer({ env: { MTS_TLS_CERT: paths.cert, MTS_TLS_KEY: paths.key } });
    const open = await connectTls(server.grpcTarget);
    expect(open.alpnProtocol).toBe("h2");
    expect(open.getPeerCertificate().fingerprint256).toBe(first);
    let isClosed = false;
    open.on("close", () => {
      isClosed = true;
    });
    const second = await install();
    const present = async (): Promise<string> => {
      const socket = await connectTls(server.grpcTarget);
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    while ((await present()) !== second);
    expect(isClosed).toBe(false);
    open.destroy();
    await rm(folder, { recursive: true, force: true });
  });
});
