/**
 * What operators ask: is it alive, is it ready, how is it doing.
 * @module
 */
import { structuredResponse } from "./answer.ts";
import { healthOperation, metricsOperation, readyOperation } from "./openapi/ops.ts";
import type { HttpServices, Route } from "./route.ts";

/** The routes of operators. */
export const opsRoutes = ({ broker, metrics }: HttpServices): readonly Route[] => [
  {
    method: "GET",
    path: "/healthz",
    open: true,
    handle: () => structuredResponse({ status: "ok" }, "json"),
    operation: healthOperation,
  },
  {
    method: "GET",
    path: "/readyz",
    open: true,
    handle: async () => {
      const dependencies = await broker.readiness();
      const ready = Object.values(dependencies).every((dependency) => dependency.ready);
      return structuredResponse({ ready, dependencies }, "json", ready ? 200 : 503);
    },
    operation: readyOperation,
  },
  {
    method: "GET",
    path: "/metrics",
    handle: async () =>
      new Response(await metrics.text(), {
        headers: { "content-type": metrics.contentType, "cache-control": "no-store" },
      }),
    operation: metricsOperation,
  },
];
