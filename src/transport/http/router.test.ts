import { expect, test } from "bun:test";
import type { Route } from "./route.ts";
import { pathTables } from "./router.ts";

const route = (method: Route["method"], path: string): Route => ({ method, path, handle: () => new Response() });

test("Allow names every method of a path, HEAD beside GET", () => {
  const tables = pathTables([route("GET", "/a"), route("DELETE", "/a"), route("POST", "/b")]);
  expect(tables.get("/a")?.allow).toBe("DELETE, GET, HEAD, OPTIONS");
  expect(tables.get("/b")?.allow).toBe("OPTIONS, POST");
  expect(tables.get("/a")?.byMethod.get("HEAD")).toBe(tables.get("/a")?.byMethod.get("GET"));
});
