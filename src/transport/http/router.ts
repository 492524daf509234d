/**
 * From the table of routes to the router: HEAD beside every GET, 405 with `Allow` for the methods that a path does not
 * have, 404 for the rest, and every error as a problem.
 * @module
 */
import type { Elysia } from "elysia";
import type { Authenticator, Principal } from "../../auth/contract.ts";
import { loggableAddress } from "../../codec/bearer.ts";
import { StreamError, toStreamError } from "../../core/errors.ts";
import { negotiate } from "./accept.ts";
import { callerOf } from "./access.ts";
import { Intake, type IntakeShared } from "./intake.ts";
import { type HttpMeter, metered, templateOf } from "./meter.ts";
import { problemResponse } from "./problem.ts";
import { parseQuery } from "./query.ts";
import type { HttpLog, OpenCall, Route } from "./route.ts";

type Params = OpenCall["params"];

/** One request at its route. */
interface Arrival {
  readonly route: Route;
  readonly request: Request;
  readonly params: Params;
  readonly intake: Intake;
}

/** The routes of one path by method, and its `Allow`. */
interface PathTable {
  readonly byMethod: ReadonlyMap<string, Route>;
  readonly allow: string;
}

/**
 * Adds the routes to a router, one entry a path: Elysia's own treatment of HEAD would run the GET and count its body
 * instead of asking the handler, which knows the length without reading anything.
 */
export const mountRoutes = (
  router: Elysia,
  routes: readonly Route[],
  authenticator: Authenticator,
  log: HttpLog,
  intakes: IntakeShared,
  meter: HttpMeter,
): void => {
  for (const [path, table] of pathTables(routes)) {
    const counters = new Map(
      [...table.byMethod.keys()].map((method) => [method, meter.counter(method, templateOf(path))]),
    );
    const other = meter.counter("other", templateOf(path));
    router.all(
      path,
      ({ request, params }: { readonly request: Request; readonly params: Params }) => {
        const route = table.byMethod.get(request.method);
        return metered(counters.get(request.method) ?? other, () =>
          route === undefined
            ? otherMethod(request, table.allow)
            : admit({ route, request, params, intake: new Intake(request, intakes) }, authenticator, log),
        );
      },
      { parse: "none" },
    );
  }
  const unmatched = meter.counter("other", "unmatched");
  router.onError(({ error, code }) => {
    const response = problemResponse(
      code === "NOT_FOUND"
        ? new StreamError("not_found", "There is no such path; /docs shows all.")
        : report(error, undefined, log),
    );
    unmatched(response.status, 0);
    return response;
  });
};

/** The table path by path. */
export const pathTables = (routes: readonly Route[]): ReadonlyMap<string, PathTable> => {
  const paths = new Map<string, Map<string, Route>>();
  for (const route of routes) {
    const byMethod = paths.get(route.path) ?? new Map<string, Route>();
    paths.set(route.path, byMethod.set(route.method, route));
    if (route.method === "GET") byMethod.set("HEAD", route);
  }
  return new Map(
    [...paths].map(([path, byMethod]) => [
      path,
      { byMethod, allow: [...byMethod.keys(), "OPTIONS"].sort().join(", ") },
    ]),
  );
};

const otherMethod = (request: Request, allow: string): Response =>
  request.method === "OPTIONS"
    ? new Response(null, { status: 204, headers: { allow } })
    : problemResponse(new StreamError("method_not_allowed", `This path has ${allow}.`, { allow: allow.split(", ") }), {
        allow,
      });

/** Finds out who calls, and lets the route answer them; a token that was seen before costs no turn. */
const admit = (arrival: Arrival, authenticator: Authenticator, log: HttpLog): Response | Promise<Response> => {
  const { request, intake } = arrival;
  try {
    const answer = answerTo(arrival, authenticator);
    if (!(answer instanceof Promise)) return answer;
    return answer.then(
      (response) => {
        intake.release();
        return response;
      },
      (thrown: unknown) => {
        intake.release();
        return failed(thrown, request, log);
      },
    );
  } catch (thrown) {
    return failed(thrown, request, log);
  }
};

const answerTo = (
  { route, request, params, intake }: Arrival,
  authenticator: Authenticator,
): Response | Promise<Response> => {
  if (route.open === true) return route.handle(openCall(route, request, params, intake));
  const answer = (caller: Principal): Response | Promise<Response> => {
    const { query, representation } = openCall(route, request, params, intake);
    return route.handle({ request, params, query, representation, intake, caller, broker: caller.broker });
  };
  const found = callerOf(request, authenticator);
  if (found instanceof Response) return found;
  return found instanceof Promise ? found.then(answer) : answer(found);
};

const openCall = ({ query: known, offers }: Route, request: Request, params: Params, intake: Intake): OpenCall => ({
  request,
  params,
  intake,
  query: parseQuery(request.url, known ?? []),
  representation: offers === undefined ? "json" : negotiate(request.headers.get("accept"), offers),
});

const failed = (thrown: unknown, request: Request, log: HttpLog): Response =>
  problemResponse(report(thrown, request, log));

/** Faults of the server itself go to the log with their cause; what a client did wrong, or left, does not. */
const report = (thrown: unknown, request: Request | undefined, log: HttpLog): StreamError => {
  const error = toStreamError(thrown);
  const own = error.code === "internal" || error.code === "data_loss";
  if (own && request?.signal.aborted !== true) {
    log.error("request_failed", { error, method: request?.method, address: request && loggableAddress(request.url) });
  }
  return error;
};
