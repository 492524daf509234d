/**
 * Events where tokens are asked for: each verb needs its permission on the subjects of the types that it touches.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bearer, useAuthServer } from "../auth/server.ts";
import type { Grants } from "../auth/token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();
const types = ["purchase", "return", "refund"];

const eventOf = (event_type: string) => ({ user_id: "u", event_type, amount: 1, timestamp: "2024-01-15T10:30:00Z" });

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const ask = (grants: Grants, path: string, init: Init = {}): Promise<Response> =>
  fetch(`${auth().server.url}${path}`, {
    ...init,
    headers: { "content-type": "application/json", ...bearer(auth().issuer.token(grants)), ...init.headers },
  });

const post = (grants: Grants, body: unknown): Promise<Response> =>
  ask(grants, "/events", { method: "POST", body: JSON.stringify(body) });

const codeOf = async (response: Response): Promise<string> =>
  response.ok ? "fine" : ((await response.json()) as { readonly code: string }).code;

const all: Grants = { client_id: "all", allowed_subjects: ["events.*"], permissions: ["*"] };
const purchases: Grants = { client_id: "some", allowed_subjects: ["events.purchase"], permissions: ["*"] };
const three: Grants = { ...all, client_id: "three", allowed_subjects: types.map((type) => `events.${type}`) };

beforeAll(async () => {
  expect((await post(all, types.map(eventOf))).status).toBe(200);
});

test("nobody is let in without a token", async () => {
  for (const path of ["/events", "/events/purchase-1", "/events/metrics"]) {
    expect((await fetch(`${auth().server.url}${path}`)).status).toBe(401);
  }
  expect((await fetch(`${auth().server.url}/events`, { method: "POST", body: "{}" })).status).toBe(401);
});

describe("a caller with one type", () => {
  test("sends that one", async () => {
    expect((await post(purchases, eventOf("purchase"))).status).toBe(201);
    expect(await codeOf(await post(purchases, eventOf("refund")))).toBe("permission_denied");
    const { results } = (await (await post(purchases, types.map(eventOf))).json()) as {
      readonly results: readonly { readonly error?: { readonly code: string } }[];
    };
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, "permission_denied", "permission_denied"]);
  });

  test("reads that one, by its name", async () => {
    for (const accept of ["application/json", "text/event-stream"]) {
      const headers = { accept };
      expect(await codeOf(await ask(purchases, "/events?limit=1", { headers }))).toBe("permission_denied");
      expect(await codeOf(await ask(purchases, "/events?event_type=refund", { headers }))).toBe("permission_denied");
      const response = await ask(purchases, "/events?event_type=purchase&limit=1", { headers });
      expect(response.status).toBe(200);
      await response.body?.cancel();
    }
    expect((await ask(purchases, "/events/purchase-1")).status).toBe(200);
    expect(await codeOf(await ask(purchases, "/events/refund-1"))).toBe("permission_denied");
    expect(await codeOf(await ask(purchases, "/events/metrics"))).not.toBe("fine");
  });
});

test("a caller with each of the types has all of them", async () => {
  expect((await ask(three, "/events")).status).toBe(200);
  const response = await ask(three, "/events", { headers: { accept: "text/event-stream" } });
  expect(response.status).toBe(200);
  await response.body?.cancel();
});

test("permissions count one by one", async () => {
  const only = (permission: string): Grants => ({ ...all, permissions: [permission] });
  expect(await codeOf(await post(only("fetch"), eventOf("purchase")))).toBe("permission_denied");
  expect(await codeOf(await ask(only("publish"), "/events"))).toBe("permission_denied");
  expect(await codeOf(await ask(only("publish"), "/events/purchase-1"))).toBe("permission_denied");
  expect(await codeOf(await ask(only("fetch"), "/events", { headers: { accept: "text/event-stream" } }))).toBe(
    "permission_denied",
  );
  expect((await ask(only("fetch"), "/events/metrics")).status).toBe(200);
});
