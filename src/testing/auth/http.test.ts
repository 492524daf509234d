/**
 * Who may do what over HTTP: every endpoint with every caller, every forged token, and the places where a token may and
 * may not stand.
 * @module
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readProblem } from "../http-client.ts";
import { rawRequest } from "../raw-socket.ts";
import { type Caller, callersFor, expectedOf } from "./callers.ts";
import { forgeries } from "./forgeries.ts";
import { type Endpoint, httpEndpoints, openPaths } from "./http-endpoints.ts";
import { bearer, useAuthServer } from "./server.ts";
import { inSeconds } from "./token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const subject = "tenant-a.orders.1";
const [tenant] = subject.split(".");

const ask = (endpoint: Endpoint, headers: Readonly<Record<string, string>>): Promise<Response> =>
  fetch(auth().server.url + endpoint.path, {
    method: endpoint.method,
    headers: { ...endpoint.headers, ...headers },
    ...(endpoint.body !== undefined && { body: endpoint.body }),
  });

const headersOf = ({ grants, expiresInSeconds = 600 }: Caller): Readonly<Record<string, string>> =>
  grants === undefined ? {} : bearer(auth().issuer.token(grants, { exp: inSeconds(expiresInSeconds) }));

const refusals = new Set(["unauthenticated", "token_expired", "permission_denied"]);

/** The code of a refusal for who calls, or `ok`. */
const outcomeOf = async (response: Response): Promise<string> => {
  if (response.status === 401 || response.status === 403) {
    const challenge = response.headers.get("www-authenticate") ?? "";
    if (!challenge.startsWith('Bearer realm="minitoolstream"')) throw new Error(`it asks with ${challenge}`);
    // HEAD has no body; the challenge says the same.
    if (!(response.headers.get("content-type") ?? "").includes("problem")) throw new Error("no problem document");
    const text = await response.clone().text();
    if (text !== "") return (await readProblem(response)).code;
    return response.status === 403
      ? "permission_denied"
      : challenge.includes("expired")
        ? "token_expired"
        : "unauthenticated";
  }
  const text = await response.text();
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? "";
  if (refusals.has(code)) return code;
  expect(response.status).toBeLessThan(500);
  return "ok";
};

describe("every endpoint with every caller", () => {
  beforeAll(async () => {
    const stored = await fetch(`${auth().server.url}/v1/subjects/${subject}/messages`, {
      method: "POST",
      headers: bearer(auth().issuer.admin()),
      body: "stored",
    });
    expect(stored.status).toBe(201);
  });

  for (const caller of callersFor(subject)) {
    test(caller.name, async () => {
      const headers = headersOf(caller);
      const outcomes: string[] = [];
      const expected: string[] = [];
      for (const endpoint of httpEndpoints(subject)) {
        const name = `${endpoint.method} ${endpoint.path}`;
        outcomes.push(`${name}: ${await outcomeOf(await ask(endpoint, headers))}`);
        expected.push(`${name}: ${expectedOf(caller, endpoint.verb)}`);
      }
      expect(outcomes).toEqual(expected);
    });
  }

  test("what is denied is denied in the same way whether or not it is there", async () => {
    const headers = bearer(auth().issuer.token({ allowed_subjects: ["tenant-z.>"], permissions: ["*"] }));
    const there = httpEndpoints(subject);
    for (const [index, endpoint] of httpEndpoints(`${tenant}.never.used`).entries()) {
      if (endpoint.verb === "list") continue;
      const [missing, found] = await Promise.all([ask(endpoint, headers), ask(there[index] ?? endpoint, headers)]);
      expect([endpoint.path, missing.status, await missing.text()]).toEqual([
        endpoint.path,
        found.status,
        await found.text(),
      ]);
    }
  });

  test("a batch is refused message by message", async () => {
    const token = auth().issuer.token({
      allowed_subjects: ["batch.>"],
      deny_subjects: ["batch.no"],
      permissions: ["publish"],
    });
    const subjects = ["batch.a", "batch.no", "tenant-a.x", "batch.b", "$SYS.x", "batch.c"];
    const response = await fetch(`${auth().server.url}/v1/messages`, {
      method: "POST",
      headers: { ...bearer(token), "content-type": "application/json" },
      body: JSON.stringify({ messages: subjects.map((name) => ({ subject: name, data: "x" })) }),
    });
    const { results } = (await response.json()) as { results: { sequence?: number; error?: { code: string } }[] };
    expect(results.map(({ sequence, error }) => sequence ?? error?.code)).toEqual([
      1,
      "permission_denied",
      "permission_denied",
      1,
      "invalid_subject",
      1,
    ]);
  });

  test("a listing shows what may be seen, page by page", async () => {
    const { server, issuer } = auth();
    const names = ["a", "b.1", "b.2", "c", "secret.1", "secret.2"].map((name) => `list.${name}`);
    for (const name of [...names, "listing.x"]) {
      await fetch(`${server.url}/v1/subjects/${name}/messages`, {
        method: "POST",
        headers: bearer(issuer.admin()),
        body: "x",
      });
    }
    const token = issuer.token({
      allowed_subjects: ["list.>"],
      deny_subjects: ["list.secret.*", "list.b.1"],
      permissions: ["fetch"],
    });
    const seen: string[] = [];
    for (let after = "", hasMore = true; hasMore; ) {
      const query = new URLSearchParams({ limit: "1", filter: ">", ...(after !== "" && { after }) });
      const response = await fetch(`${server.url}/v1/subjects?${query.toString()}`, { headers: bearer(token) });
      const page = (await response.json()) as { subjects: { subject: string }[]; has_more: boolean };
      seen.push(...page.subjects.map((row) => row.subject));
      after = seen.at(-1) ?? "";
      hasMore = page.has_more;
      expect(seen.length).toBeLessThanOrEqual(names.length);
    }
    expect(seen).toEqual(["list.a", "list.b.2", "list.c"]);
  });
});

describe("forged tokens", () => {
  test("none is believed, on any path that asks", async () => {
    const { issuer, server } = auth();
    for (const { name, token, code } of forgeries(issuer)) {
      const response = await fetch(`${server.url}/v1/subjects`, { headers: bearer(token) });
      const problem = await readProblem(response);
      expect([name, response.status, problem.code]).toEqual([name, 401, code]);
      expect(response.headers.get("www-authenticate")).toStartWith(
        'Bearer realm="minitoolstream", error="invalid_token", error_description="',
      );
      // Nothing of it comes back.
      const longest = token.split(".").reduce((a, b) => (a.length > b.length ? a : b));
      if (longest.length > 20) expect(JSON.stringify(problem.fields)).not.toContain(longest.slice(0, 20));
    }
  });

  test("one that was refused is refused again, and a valid one is believed in between", async () => {
    const { issuer, server } = auth();
    const [forged] = forgeries(issuer);
    for (const [token, status] of [
      [forged?.token ?? "", 401],
      [issuer.admin(), 200],
      [forged?.token ?? "", 401],
    ] as const) {
      expect((await fetch(`${server.url}/v1/subjects`, { headers: bearer(token) })).status).toBe(status);
    }
  });
});

describe("where a token stands", () => {
  test("no token is asked for without an error, another scheme is none", async () => {
    const { server, issuer } = auth();
    const none = await fetch(`${server.url}/v1/subjects`);
    expect([none.status, none.headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="minitoolstream"']);
    const token = issuer.admin();
    for (const authorization of [
      "Bearer",
      "Bearer ",
      token,
      `Basic ${btoa(`root:${token}`)}`,
      `Token ${token}`,
      `Bearer ${token} ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token},`,
      `Bearer "${token}"`,
    ]) {
      const response = await fetch(`${server.url}/v1/subjects`, { headers: { authorization } });
      expect([authorization, response.status]).toEqual([authorization, 401]);
    }
    for (const authorization of [`bearer ${token}`, `BEARER ${token}`, `Bearer  ${token}`]) {
      expect((await fetch(`${server.url}/v1/subjects`, { headers: { authorization } })).status).toBe(200);
    }
  });

  test("two headers are refused, whichever comes first", async () => {
    const { server, issuer } = auth();
    const valid = `Authorization: Bearer ${issuer.admin()}`;
    for (const lines of [
      [valid, valid],
      [valid, "Authorization: Bearer x.y.z"],
      ["Authorization: Bearer x.y.z", valid],
    ]) {
      const { host } = new URL(server.url);
      const { status } = await rawRequest(server.url, ["GET /v1/subjects HTTP/1.1", `Host: ${host}`, ...lines]);
      expect(status).toBe(401);
    }
  });

  test("in an address it is refused on every path, open or not, and is not logged", async () => {
    const { server, issuer } = auth();
    const token = issuer.admin();
    for (const path of ["/v1/subjects", "/healthz", "/metrics", "/swagger", "/no/such/path", "/v1/ws"]) {
      for (const name of [
        "token",
        "access_token",
        "jwt",
        "authorization",
        "Authorization",
        "%74oken",
        "ACCESS%5FTOKEN",
      ]) {
        const response = await fetch(`${server.url}${path}?x=1&${name}=${token}`, { headers: bearer(token) });
        const problem = await readProblem(response);
        expect([path, name, response.status, problem.code]).toEqual([path, name, 422, "unknown_parameter"]);
        expect(problem.message).toContain("Authorization: Bearer");
        expect(JSON.stringify(problem.fields)).not.toContain(token);
      }
    }
    expect(server.stderr).not.toContain(token);
  });

  test("health and the document answer everybody, metrics whoever has a token", async () => {
    const { server, issuer } = auth();
    for (const path of openPaths) expect([path, (await fetch(server.url + path)).status]).toEqual([path, 200]);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
    const nothing = issuer.token({ client_id: "prometheus" });
    expect((await fetch(`${server.url}/metrics`, { headers: bearer(nothing) })).status).toBe(200);
  });

  test("the document asks for a token", async () => {
    const document = (await (await fetch(`${auth().server.url}/swagger/json`)).json()) as {
      security: unknown;
      paths: Record<string, Record<string, { security?: unknown; responses: Record<string, unknown> }>>;
    };
    expect(document.security).toEqual([{ bearer: [] }]);
    expect(document.paths["/healthz"]?.["get"]?.security).toEqual([]);
    expect(Object.keys(document.paths["/v1/subjects"]?.["get"]?.responses ?? {})).toContain("401");
    expect(Object.keys(document.paths["/v1/subjects"]?.["get"]?.responses ?? {})).toContain("403");
  });
});

describe("signed addresses", () => {
  const send = (
    method: string,
    pathOrUrl: string,
    token: string | undefined,
    body?: string,
    headers = {},
  ): Promise<Response> =>
    fetch(new URL(pathOrUrl, auth().server.url), {
      method,
      headers: { ...headers, ...(token === undefined ? {} : bearer(token)) },
      ...(body !== undefined && { body }),
    });

  test("need no token, but getting one needs the right", async () => {
    const { issuer } = auth();
    const messages = `/v1/subjects/${subject}/messages`;
    const reader = issuer.token({ allowed_subjects: [subject], permissions: ["fetch"] });
    const pointer = await send("GET", `${messages}/1?deliver=pointer`, reader);
    const { url } = (await pointer.json()) as { readonly url: string };
    expect(await (await send("GET", url, undefined)).text()).toBe("stored");
    // Whoever sends a token beside it is asked nothing either.
    expect((await send("GET", url, "x.y.z")).status).toBe(200);
  });

  test("an upload is opened and published with the right to publish, and put without a token", async () => {
    const { issuer } = auth();
    const writer = issuer.token({ allowed_subjects: [subject], permissions: ["publish"] });
    const claim = { length: 5, sha256: new Bun.CryptoHasher("sha256").update("hello").digest("hex") };
    const json = { "content-type": "application/json" };
    const opened = await send("POST", `/v1/subjects/${subject}/uploads`, writer, JSON.stringify(claim), json);
    const { key, requests } = (await opened.json()) as {
      readonly key: string;
      readonly requests: readonly { readonly url: string }[];
    };
    expect((await send("PUT", requests[0]?.url ?? "", undefined, "hello")).status).toBe(200);
    const pointer = JSON.stringify({ format: "s3-pointer-v1", key, ...claim });
    const type = { "content-type": "application/vnd.s3-pointer+json" };
    const path = `/v1/subjects/${subject}/messages`;
    expect((await send("POST", path, undefined, pointer, type)).status).toBe(401);
    const reader = issuer.token({ allowed_subjects: [subject], permissions: ["fetch"] });
    expect((await send("POST", path, reader, pointer, type)).status).toBe(403);
    expect((await send("POST", path, writer, pointer, type)).status).toBe(201);
  });
});
