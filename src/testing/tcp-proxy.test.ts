/**
 * The proxy does to a connection what it says it does.
 * @module
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { RawSocket } from "./raw-socket.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Sends back what it gets. */
const startEcho = () =>
  Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: async (request) => new Response(await request.arrayBuffer()) });

let echo: ReturnType<typeof startEcho>;
let proxy: TcpProxy;
beforeEach(async () => {
  echo = startEcho();
  proxy = await startTcpProxy({ host: "127.0.0.1", port: echo.port ?? 0 });
});
afterEach(async () => {
  await proxy.stop();
  await echo.stop(true);
});

const url = (): string => `http://127.0.0.1:${proxy.port}/`;
const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).map((_, index) => index % 251);
const send = async (body: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => {
  const answer = await fetch(url(), { method: "POST", body, keepalive: false });
  return answer.bytes();
};
/** Whether a request came back whole; rejections are what a cut looks like. */
const comesBack = (body: Uint8Array<ArrayBuffer>): Promise<boolean> =>
  send(body).then(
    (got) => Buffer.compare(got, body) === 0,
    () => false,
  );

test("passes everything on, slowed down too", async () => {
  expect(await comesBack(bytes(3_000_000))).toBe(true);
  proxy.slowTo(1_000_000);
  expect(await comesBack(bytes(20_000))).toBe(true);
  expect(proxy.accepted).toBe(2);
});

test("refuses until it listens again, on the same port", async () => {
  const { port } = proxy;
  await proxy.refuse();
  expect(await comesBack(bytes(10))).toBe(false);
  await proxy.listen();
  expect(proxy.port).toBe(port);
  expect(await comesBack(bytes(10))).toBe(true);
});

test("cuts what is open, at once or after so many bytes", async () => {
  const socket = await RawSocket.connect(url());
  expect(await comesBack(bytes(10))).toBe(true);
  proxy.cut();
  await socket.closed;
  expect(proxy.connections).toBe(0);
  for (const direction of ["up", "down"] as const) {
    const cut = proxy.cutAfter(500_000, direction);
    expect(await comesBack(bytes(1_000_000))).toBe(false);
    await cut;
    expect(await comesBack(bytes(1_000_000))).toBe(true);
  }
});

test("holds everything back until it goes on", async () => {
  proxy.pause();
  let isBack = false;
  const back = comesBack(bytes(1000)).then((good) => {
    isBack = true;
    return good;
  });
  // A request past the proxy has had all the time that the held one would have needed.
  await fetch(`http://127.0.0.1:${echo.port ?? 0}/`);
  expect(isBack).toBe(false);
  proxy.resume();
  expect(await back).toBe(true);
});
