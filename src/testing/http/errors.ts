/**
 * Refusals: the problem document of every code that a request can reach.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { rawRequest } from "../raw-socket.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request, sendJson } from "./request.ts";

/** Every path of the contract and the methods it has. */
const routes: readonly (readonly [path: string, methods: readonly string[]])[] = [
  ["/v1/subjects/s/messages", ["POST", "GET", "HEAD", "DELETE"]],
  ["/v1/messages", ["POST"]],
  ["/v1/subjects/s/messages/1", ["GET", "HEAD"]],
  ["/v1/subjects", ["GET", "HEAD"]],
  ["/v1/subjects/s", ["GET", "HEAD"]],
  ["/v1/subjects/s/consumers", ["GET", "HEAD"]],
  ["/v1/subjects/s/consumers/c", ["PUT", "GET", "HEAD", "DELETE"]],
  ["/v1/subjects/s/consumers/c/fetch", ["POST"]],
  ["/v1/subjects/s/consumers/c/peek", ["GET", "HEAD"]],
  ["/v1/subjects/s/consumers/c/ack", ["POST"]],
  ["/v1/subjects/s/consumers/c/nack", ["POST"]],
  ["/healthz", ["GET", "HEAD"]],
  ["/readyz", ["GET", "HEAD"]],
  ["/metrics", ["GET", "HEAD"]],
  ["/swagger", ["GET", "HEAD"]],
  ["/docs", ["GET", "HEAD"]],
  ["/swagger/json", ["GET", "HEAD"]],
];

const defineMethods = (server: () => TestServer): void => {
  test.each(routes.map((row) => [...row] as [string, string[]]))(
    "405 on %s names what is allowed",
    async (path, methods) => {
      for (const method of ["PATCH", "PUT", "DELETE", "POST", "GET"].filter((name) => !methods.includes(name))) {
        const response = await request(server(), method, path);
        const allow = (response.headers.get("allow") ?? "").split(",").map((name) => name.trim());
        await expectProblem(response, 405, "method_not_allowed");
        expect(methods.filter((name) => !allow.includes(name))).toEqual([]);
        expect(allow).not.toContain(method);
      }
    },
  );

  test.each(
    [
      "/v1",
      "/v1/nothing",
      "/v2/subjects",
      "/v1/subjects/s/nothing",
      "/v1/subjects/s/messages/1/2",
      "/healthz/x",
      "/favicon.ico.php",
    ].map((path) => [path]),
  )("404 on %s", async (path) => {
    for (const method of ["GET", "POST", "DELETE"])
      await expectProblem(await request(server(), method, path), 404, "not_found");
  });

  test("a sequence in a path is a positive integer", async () => {
    for (const raw of ["x", "-1", "1.5", "9007199254740993"]) {
      const response = await request(server(), "GET", `/v1/subjects/s/messages/${raw}`);
      expect([404, 422]).toContain(response.status);
      await expectProblem(response, response.status);
    }
  });
};

const defineUnknownNames = (server: () => TestServer): void => {
  const withQuery: readonly (readonly [method: string, path: string, body?: unknown])[] = [
    ["GET", "/v1/subjects/s/messages"],
    ["POST", "/v1/subjects/s/messages", "x"],
    ["DELETE", "/v1/subjects/s/messages?through=1"],
    ["GET", "/v1/subjects/s/messages/1"],
    ["POST", "/v1/messages", { messages: [] }],
    ["GET", "/v1/subjects"],
    ["GET", "/v1/subjects/s"],
    ["GET", "/v1/subjects/s/consumers"],
    ["PUT", "/v1/subjects/s/consumers/c", {}],
    ["GET", "/v1/subjects/s/consumers/c"],
    ["DELETE", "/v1/subjects/s/consumers/c"],
    ["POST", "/v1/subjects/s/consumers/c/fetch", {}],
    ["GET", "/v1/subjects/s/consumers/c/peek"],
    ["POST", "/v1/subjects/s/consumers/c/ack", { sequence: 1 }],
    ["POST", "/v1/subjects/s/consumers/c/nack", { sequences: [1] }],
  ];
  test.each(withQuery.map((row) => [row[0], row[1], row[2]] as [string, string, unknown]))(
    "an unknown query parameter is refused: %s %s",
    async (method, path, body) => {
      const full = `${path}${path.includes("?") ? "&" : "?"}limits=5`;
      const response =
        body === undefined ? await request(server(), method, full) : await sendJson(server(), method, full, body);
      await expectProblem(response, 422, "unknown_parameter");
    },
  );

  const withBody: readonly (readonly [method: string, path: string, body: unknown])[] = [
    ["POST", "/v1/messages", { messages: [], extra: 1 }],
    ["PUT", "/v1/subjects/s/consumers/c", { starts: "new" }],
    ["POST", "/v1/subjects/s/consumers/c/fetch", { Limit: 1 }],
    ["POST", "/v1/subjects/s/consumers/c/ack", { sequence: 1, seq: 1 }],
    ["POST", "/v1/subjects/s/consumers/c/nack", { sequences: [1], delay: 1 }],
  ];
  test.each(withBody.map((row) => [...row] as [string, string, unknown]))(
    "an unknown body field is refused: %s %s",
    async (method, path, body) => {
      await expectProblem(await sendJson(server(), method, path, body), 422, "unknown_field");
    },
  );

  test("an unknown field of a batch entry is refused and stores nothing", async () => {
    const subject = uniqueSubject("field");
    const response = await sendJson(server(), "POST", "/v1/messages", {
      messages: [{ subject, data: "x", header: {} }],
    });
    if (response.ok) {
      const { results } = (await response.json()) as { results: { error: { code: string } }[] };
      expect(results[0]?.error.code).toBe("unknown_field");
    } else await expectProblem(response, 422, "unknown_field");
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });
};

const defineBodies = (server: () => TestServer): void => {
  const jsonPaths: readonly (readonly [method: string, path: string])[] = [
    ["POST", "/v1/messages"],
    ["PUT", "/v1/subjects/s/consumers/c"],
    ["POST", "/v1/subjects/s/consumers/c/fetch"],
    ["POST", "/v1/subjects/s/consumers/c/ack"],
    ["POST", "/v1/subjects/s/consumers/c/nack"],
  ];
  test.each(jsonPaths.map((row) => [...row] as [string, string]))(
    "a body that cannot be read is 400: %s %s",
    async (method, path) => {
      for (const body of ["{", '{"a":}', "{} {}", "\u0000"]) {
        await expectProblem(await sendJson(server(), method, path, body), 400, "malformed_body");
      }
    },
  );

  test.each(jsonPaths.map((row) => [...row] as [string, string]))(
    "a content type that is not read is 415: %s %s",
    async (method, path) => {
      const headers = { "content-type": "text/csv" };
      await expectProblem(
        await request(server(), method, path, { headers, body: "{}" }),
        415,
        "unsupported_media_type",
      );
    },
  );

  test("values out of range are 422", async () => {
    const path = "/v1/subjects/s/consumers/range";
    const rows: readonly (readonly [string, string, unknown])[] = [
      ["PUT", path, { ack: "some" }],
      ["PUT", path, { start: "last" }],
      ["PUT", path, { start: -1 }],
      ["PUT", path, { ack_wait_ms: 0 }],
      ["PUT", path, { ack_wait_ms: "30000" }],
      ["PUT", path, { max_deliver: -1 }],
      ["PUT", path, { max_deliver: 1.5 }],
      ["PUT", path, { max_ack_pending: 0 }],
      ["POST", `${path}/fetch`, { limit: 0 }],
      ["POST", `${path}/fetch`, { limit: 10_001 }],
      ["POST", `${path}/fetch`, { wait_ms: 60_001 }],
      ["POST", `${path}/fetch`, { auto_ack: "yes" }],
      ["POST", `${path}/ack`, { sequence: "1" }],
      ["POST", `${path}/ack`, { sequence: 1.5 }],
      ["POST", `${path}/ack`, { sequences: "1" }],
      ["POST", `${path}/ack`, {}],
      ["POST", `${path}/nack`, { sequences: [1], delay_ms: -1 }],
      ["POST", `${path}/nack`, {}],
    ];
    for (const [method, full, body] of rows) {
      const problem = await expectProblem(await sendJson(server(), method, full, body), 422);
      expect([method, full, body, problem.code]).toEqual([method, full, body, "invalid_parameter"]);
    }
    for (const query of [
      "limit=0",
      "limit=x",
      "limit=10001",
      "wait_ms=-1",
      "wait_ms=60001",
      "max_bytes=x",
      "headers_only=maybe",
      "from=x",
      "limit=",
    ]) {
      await expectProblem(await request(server(), "GET", `/v1/subjects/s/messages?${query}`), 422, "invalid_parameter");
    }
    for (const query of ["", "?through=x", "?through=-1"]) {
      await expectProblem(
        await request(server(), "DELETE", `/v1/subjects/s/messages${query}`),
        422,
        "invalid_parameter",
      );
    }
    await expectProblem(await request(server(), "GET", "/v1/subjects?filter=a..b"), 422, "invalid_filter");
    await expectProblem(await request(server(), "GET", "/v1/subjects?filter=%3E.a"), 422, "invalid_filter");
    await expectProblem(await request(server(), "GET", "/v1/subjects?limit=0"), 422, "invalid_parameter");
  });
};

/** The group. */
export const defineErrors = (server: () => TestServer): void => {
  describe("refusals", () => {
    defineMethods(server);
    defineUnknownNames(server);
    defineBodies(server);

    test("what is not there is 404, each with its code", async () => {
      const subject = uniqueSubject("missing");
      const path = subjectPath(subject);
      await expectProblem(await request(server(), "GET", path), 404, "subject_not_found");
      await expectProblem(await request(server(), "GET", `${path}/messages/1`), 404, "message_not_found");
      await expectProblem(await request(server(), "GET", `${path}/consumers/c`), 404, "consumer_not_found");
      await expectProblem(await request(server(), "DELETE", `${path}/consumers/c`), 404, "consumer_not_found");
      await expectProblem(
        await sendJson(server(), "POST", `${path}/consumers/c/ack`, { sequence: 1 }),
        404,
        "consumer_not_found",
      );
    });

    test("an Accept that cannot be served is 406, quality values are weighed", async () => {
      const path = `${subjectPath(uniqueSubject("accept"))}/messages`;
      for (const accept of ["image/png", "application/json;q=0", "text/html, image/*"]) {
        await expectProblem(await request(server(), "GET", path, { headers: { accept } }), 406, "not_acceptable");
      }
      const table: readonly (readonly [accept: string, type: string])[] = [
        ["*/*", "application/json"],
        ["application/*", "application/json"],
        ["application/msgpack;q=0.4, application/json;q=0.5", "application/json"],
        ["application/msgpack, application/json;q=0.5", "application/msgpack"],
        ["text/html, application/x-ndjson;q=0.9, */*;q=0.1", "application/x-ndjson"],
        ["APPLICATION/JSON", "application/json"],
      ];
      for (const [accept, type] of table) {
        const response = await request(server(), "GET", path, { headers: { accept } });
        expect([accept, response.headers.get("content-type")?.split(";")[0]]).toEqual([accept, type]);
      }
    });

    test("a conflict, a wrong last sequence, an upgrade that is none", async () => {
      const subject = uniqueSubject("conflict");
      const admin = new HttpClient(server().url);
      await admin.publish({ subject, body: "x" });
      const wrong = await request(server(), "POST", `${subjectPath(subject)}/messages`, {
        headers: { "expected-last-sequence": "5" },
        body: "x",
      });
      expect((await expectProblem(wrong, 412, "wrong_last_sequence")).fields["last_sequence"]).toBe(1);
      await expectProblem(await request(server(), "GET", "/v1/ws"), 426, "upgrade_required");
      for (const raw of ["x", "-1", "1.5", ""]) {
        const response = await rawRequest(
          server().url,
          [
            `POST ${subjectPath(subject)}/messages HTTP/1.1`,
            `Host: ${new URL(server().url).host}`,
            `Expected-Last-Sequence: ${raw}`,
            "Content-Length: 1",
          ],
          "x",
        );
        expect([raw, response.status]).toEqual([raw, 422]);
      }
    });
  });
};
