/**
 * Who may see and rebuild an actor: whoever may see all that it is fed.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readProblem } from "../http-client.ts";
import { bearer, useAuthServer } from "./server.ts";
import type { Grants } from "./token.ts";

setDefaultTimeout(30_000);

const auth = useAuthServer();

const ask = (method: string, path: string, grants: Grants): Promise<Response> =>
  fetch(auth().server.url + path, { method, headers: bearer(auth().issuer.token(grants)) });

const all = { client_id: "tester", allowed_subjects: [">"] };

const callers: readonly (readonly [string, Grants, "sees" | "rebuilds" | "nothing"])[] = [
  ["a reader of events", { ...all, allowed_subjects: ["events.*"], permissions: ["fetch"] }, "sees"],
  ["a reader of everything", { ...all, permissions: ["*"] }, "sees"],
  [
    "an administrator of events",
    { ...all, allowed_subjects: ["events.>"], permissions: ["fetch"], admin: true },
    "rebuilds",
  ],
  ["a subscriber", { ...all, permissions: ["subscribe"] }, "nothing"],
  ["a reader of one type of events", { ...all, allowed_subjects: ["events.purchase"], permissions: ["*"] }, "nothing"],
  [
    "a reader who is denied one",
    { ...all, deny_subjects: ["events.refund"], permissions: ["*"], admin: true },
    "nothing",
  ],
];

describe("the metrics actor", () => {
  test.each(callers)("%s", async (_, grants, right) => {
    const list = await ask("GET", "/v1/actors", grants);
    expect(list.status).toBe(200);
    const { actors } = (await list.json()) as { actors: { name: string }[] };
    expect(actors.map(({ name }) => name)).toEqual(right === "nothing" ? [] : ["metrics"]);
    const one = await ask("GET", "/v1/actors/metrics", grants);
    expect(one.status).toBe(right === "nothing" ? 403 : 200);
    const rebuilt = await ask("POST", "/v1/actors/metrics/rebuild", grants);
    expect(rebuilt.status).toBe(right === "rebuilds" ? 202 : 403);
  });

  test("one that is not there is denied as one that is another's", async () => {
    const grants = { ...all, allowed_subjects: ["tenant-a.>"], permissions: ["*"] };
    const answers = ["metrics", "nobody"].map(async (name) => (await ask("GET", `/v1/actors/${name}`, grants)).text());
    const [there, missing] = await Promise.all(answers);
    expect(there).toBe(missing ?? "");
    const problem = await readProblem(await ask("GET", "/v1/actors/nobody", { ...all, permissions: ["*"] }));
    expect(problem.code).toBe("actor_not_found");
  });
});
