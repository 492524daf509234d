/**
 * Pages of other origins and tokens: a browser asks first, then sends the token, and may read what came of it.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { rawUpgrade } from "../raw-ws.ts";
import { bearer, useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";

setDefaultTimeout(30_000);

const origin = "https://app.example";
const auth = useAuthServer({ MTS_ALLOWED_ORIGINS: origin });

const paths = ["/v1/subjects", "/v1/subjects/a.b/messages", "/v1/ws", "/metrics"];

test("the question of a page of an allowed origin is answered without a token", async () => {
  for (const path of paths) {
    const response = await fetch(auth().server.url + path, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,x-meta-a",
      },
    });
    expect([path, response.status]).toEqual([path, 204]);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    expect(response.headers.get("access-control-allow-headers")).toContain("authorization");
    // Tokens go in a header: no cookies are asked for.
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
  }
});

test("it may read the answer, also a refusal", async () => {
  const { server, issuer } = auth();
  const tokens = {
    200: issuer.admin(),
    401: issuer.admin({ exp: inSeconds(-5) }),
    403: issuer.token({ permissions: [] }),
  };
  for (const [status, token] of Object.entries(tokens)) {
    const path = status === "200" ? "/v1/subjects" : "/v1/subjects/a.b/messages";
    const response = await fetch(server.url + path, { headers: { origin, ...bearer(token) } });
    expect([String(response.status), response.headers.get("access-control-allow-origin")]).toEqual([status, origin]);
    expect(response.headers.get("vary")).toContain("Origin");
  }
  const refused = await fetch(`${server.url}/v1/ws`, { headers: { origin, ...bearer("x.y.z") } });
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, origin]);
});

test("a page of another origin gets nothing, with a valid token or without", async () => {
  const { server, issuer } = auth();
  for (const path of paths) {
    for (const headers of [{}, bearer(issuer.admin())]) {
      for (const foreign of ["https://evil.example", "https://app.example.evil", "http://app.example", "null"]) {
        const response = await fetch(server.url + path, { headers: { origin: foreign, ...headers } });
        expect([path, foreign, response.status]).toEqual([path, foreign, 403]);
        expect(response.headers.get("access-control-allow-origin")).toBeNull();
      }
    }
  }
});

test("a page of an allowed origin opens a WebSocket with its token among the subprotocols", async () => {
  const { server, issuer } = auth();
  const offered = `Sec-WebSocket-Protocol: mts.msgpack.v1, mts.token.${issuer.admin()}`;
  const allowed = await rawUpgrade(server.wsUrl, [`Origin: ${origin}`, offered]);
  expect([allowed.head.status, allowed.head.headers.get("sec-websocket-protocol")]).toEqual([101, "mts.msgpack.v1"]);
  allowed.socket.destroy();
  const foreign = await rawUpgrade(server.wsUrl, ["Origin: https://evil.example", offered]);
  expect(foreign.head.status).toBe(403);
  foreign.socket.destroy();
});
