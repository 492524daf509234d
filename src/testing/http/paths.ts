/**
 * Subjects in paths, percent-encoding, and where a publish says the message is.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { rawRequest } from "../raw-socket.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request } from "./request.ts";

/** The group. */
export const definePaths = (server: () => TestServer): void => {
  describe("paths", () => {
    test("a subject is one percent-encoded segment, decoded once", async () => {
      const head = uniqueSubject("path");
      const rows: readonly (readonly [encoded: string, subject: string])[] = [
        [`${head}.a%2Fb`, `${head}.a/b`],
        [`${head}.a%252Fb`, `${head}.a%2Fb`],
        [`${head}.%D0%B6`, `${head}.ж`],
        [`${head}.%d0%b6.lower`, `${head}.ж.lower`],
        [`${head}.a+b`, `${head}.a+b`],
        [`${head}.a%2Bb%3Dc`, `${head}.a+b=c`],
        [`${head}.a:b@c=d~e`, `${head}.a:b@c=d~e`],
        [`${head}.%61%2E%62`, `${head}.a.b`],
        [`${head}.100%25`, `${head}.100%`],
        [`${head}.%2F..%2F`.replace("..", "."), `${head}././`],
      ];
      for (const [encoded, subject] of rows) {
        const response = await request(server(), "POST", `/v1/subjects/${encoded}/messages`, { body: "x" });
        const reply = (await response.json()) as { subject: string };
        expect([encoded, response.status, reply.subject]).toEqual([encoded, 201, subject]);
        expect((await new HttpClient(server().url).subject(subject)).integer("messages")).toBe(1);
      }
    });

    test("raw UTF-8 in a path is read as UTF-8 or refused, never as something else", async () => {
      const subject = `${uniqueSubject("path")}.ж`;
      const response = await rawRequest(
        server().url,
        [`POST /v1/subjects/${subject}/messages HTTP/1.1`, `Host: ${new URL(server().url).host}`, "Content-Length: 1"],
        "x",
      );
      if (response.status === 201) {
        expect((JSON.parse(response.body.toString("utf8")) as { subject: string }).subject).toBe(subject);
      } else expect([400, 422]).toContain(response.status);
    });

    test("malformed percent-encoding is 400", async () => {
      for (const encoded of ["%zz", "a%", "a%2", "%E0%A4", "%FF", "%C0%AF", "%ED%A0%80"]) {
        for (const path of [`/v1/subjects/${encoded}/messages`, `/v1/subjects/s/consumers/${encoded}`]) {
          const response = await rawRequest(server().url, [
            `GET ${path} HTTP/1.1`,
            `Host: ${new URL(server().url).host}`,
          ]);
          expect([path, response.status]).toEqual([path, 400]);
          expect(response.headers.get("content-type")).toStartWith("application/problem+json");
        }
      }
    });

    test("a decoded subject obeys the rules of subjects", async () => {
      for (const encoded of ["a%20b", "a%00b", "%2A", "%3E", "a%2E%2Eb", "%24SYS", "%EF%BB%BFa", "e%CC%81"]) {
        await expectProblem(
          await request(server(), "POST", `/v1/subjects/${encoded}/messages`, { body: "x" }),
          422,
          "invalid_subject",
        );
      }
    });

    test("dot segments, encoded or not, reach no other subject or path", async () => {
      const host = `Host: ${new URL(server().url).host}`;
      for (const path of [
        "/v1/subjects/../messages",
        "/v1/subjects/%2e%2e/messages",
        "/v1/subjects/x/../../../healthz",
      ]) {
        const response = await rawRequest(server().url, [`GET ${path} HTTP/1.1`, host]);
        expect([path, response.status >= 400 || path.endsWith("healthz")]).toEqual([path, true]);
      }
    });

    test("Location leads to the message", async () => {
      const subject = `${uniqueSubject("location")}.a/ж%2F`;
      const response = await request(server(), "POST", `${subjectPath(subject)}/messages`, { body: "found" });
      expect(response.status).toBe(201);
      const location = new URL(response.headers.get("location") ?? "", server().url);
      expect(location.pathname).toBe(`${subjectPath(subject)}/messages/1`);
      expect(await (await fetch(location)).text()).toBe("found");
    });
  });
};
