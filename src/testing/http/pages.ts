/**
 * What people and machines look at beside the stream: health, metrics, documentation.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import { mediaType, request } from "./request.ts";

/** Everything an HTML page loads: addresses in tags. */
const references = (html: string): string[] =>
  [...html.matchAll(/<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)\s*=\s*["']?([^"'\s>]+)/gi)].map(
    (match) => match[1] ?? "",
  );

/** The group. */
export const defineInfoPages = (server: () => TestServer): void => {
  describe("health, metrics, documentation", () => {
    test("is live and ready, and ready says so per dependency", async () => {
      expect((await request(server(), "GET", "/healthz")).status).toBe(200);
      const ready = await request(server(), "GET", "/readyz");
      expect([ready.status, mediaType(ready)]).toEqual([200, "application/json"]);
      const text = await ready.text();
      expect(text).toContain("metadata");
      expect(text).toContain("bodies");
    });

    test("metrics are Prometheus text", async () => {
      await new HttpClient(server().url).publish({ subject: uniqueSubject("metrics"), body: "x" });
      const response = await request(server(), "GET", "/metrics");
      expect([response.status, mediaType(response)]).toEqual([200, "text/plain"]);
      const lines = (await response.text()).split("\n").filter((line) => line !== "");
      const sample =
        /^[a-zA-Z_:][\w:]*(\{([a-zA-Z_]\w*="([^"\\]|\\.)*",?)*\})? (NaN|[+-]?Inf|[+-]?[\d.]+(e[+-]?\d+)?)( \d+)?$/;
      const wrong = lines.filter((line) => !line.startsWith("#") && !sample.test(line));
      expect(wrong).toEqual([]);
      expect(lines.filter((line) => line.startsWith("# TYPE ")).length).toBeGreaterThan(0);
      expect(lines.some((line) => !line.startsWith("#") && / [1-9]/.test(line))).toBe(true);
    });

    test.each(["/swagger", "/docs"])("%s is a page that loads nothing from another host", async (path) => {
      const response = await fetch(server().url + path);
      expect([response.status, mediaType(response)]).toEqual([200, "text/html"]);
      expect(new URL(response.url).host).toBe(new URL(server().url).host);
      const html = await response.text();
      const loaded = references(html);
      expect(loaded.length).toBeGreaterThan(0);
      for (const reference of loaded) {
        if (reference.startsWith("data:")) continue;
        const url = new URL(reference, response.url);
        expect(url.origin).toBe(server().url);
        const asset = await fetch(url);
        expect([reference, asset.status]).toEqual([reference, 200]);
        const text = await asset.text();
        if (mediaType(asset) === "text/css") expect(text).not.toMatch(/(?:url\(|@import)\s*["']?(?:https?:)?\/\//);
      }
      expect(html).not.toMatch(/["'(](?:https?:)?\/\/(?!www\.w3\.org)[a-z]/i);
    });

    test("the OpenAPI document knows every path", async () => {
      const response = await request(server(), "GET", "/swagger/json");
      expect([response.status, mediaType(response)]).toEqual([200, "application/json"]);
      const document = new WireMap(await response.json(), "openapi");
      expect(document.string("openapi")).toMatch(/^3\./);
      document.map("info").string("version");
      const paths = document.map("paths");
      const table: Readonly<Record<string, readonly string[]>> = {
        "/v1/messages": ["post"],
        "/v1/subjects": ["get"],
        "/v1/subjects/{}": ["get"],
        "/v1/subjects/{}/messages": ["get", "post", "delete"],
        "/v1/subjects/{}/messages/{}": ["get"],
        "/v1/subjects/{}/consumers": ["get"],
        "/v1/subjects/{}/consumers/{}": ["put", "get", "delete"],
        "/v1/subjects/{}/consumers/{}/fetch": ["post"],
        "/v1/subjects/{}/consumers/{}/peek": ["get"],
        "/v1/subjects/{}/consumers/{}/ack": ["post"],
        "/v1/subjects/{}/consumers/{}/nack": ["post"],
        "/healthz": ["get"],
        "/readyz": ["get"],
        "/metrics": ["get"],
      };
      const documented = new Map(Object.keys(paths.fields).map((path) => [path.replaceAll(/\{[^}]*\}/g, "{}"), path]));
      for (const [path, methods] of Object.entries(table)) {
        const name = documented.get(path);
        expect([path, name !== undefined]).toEqual([path, true]);
        for (const method of methods) {
          const operation = paths.map(name ?? "").map(method);
          expect(Object.keys(operation.map("responses").fields).length).toBeGreaterThan(0);
        }
      }
    });

    test("references inside the OpenAPI document resolve", async () => {
      const text = await (await request(server(), "GET", "/swagger/json")).text();
      const document: unknown = JSON.parse(text);
      for (const [, reference = ""] of text.matchAll(/"\$ref":\s*"([^"]+)"/g)) {
        expect(reference).toStartWith("#/");
        let at: unknown = document;
        for (const part of reference.slice(2).split("/")) {
          at = (at as Record<string, unknown>)[part.replaceAll("~1", "/").replaceAll("~0", "~")];
          expect([reference, at !== undefined]).toEqual([reference, true]);
        }
      }
    });
  });
};
