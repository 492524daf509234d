/**
 * The HTTP transport: one `fetch` over a broker. It parses, checks and answers; the rules of the stream are behind the
 * broker. Listening, and the WebSocket path, belong to whoever calls it.
 * @module
 */
import { Elysia } from "elysia";
import type { Authenticator } from "../../auth/contract.ts";
import { tokenInAddress } from "../../codec/bearer.ts";
import { checkOrigin } from "../../codec/origin.ts";
import type { ByteBudget } from "../../core/admission.ts";
import { StreamError } from "../../core/errors.ts";
import type { EventHub } from "../../hub/contract.ts";
import { actorRoutes } from "./actors.ts";
import { BodyBudget } from "./body-budget.ts";
import { consumerRoutes } from "./consumers.ts";
import { preflightResponse, withCors } from "./cors.ts";
import { Crowd } from "./crowd.ts";
import { eventRoutes } from "./events/index.ts";
import { messageRoutes } from "./message.ts";
import { type HttpMeter, noMeter } from "./meter.ts";
import { type Mount, mountedRoutes } from "./mounts.ts";
import { openApiDocument } from "./openapi/document.ts";
import { opsRoutes } from "./ops.ts";
import { Pace } from "./pace.ts";
import { policyRoutes } from "./policies.ts";
import { problemResponse } from "./problem.ts";
import { publishRoutes } from "./publish.ts";
import { readRoutes } from "./read.ts";
import type { HttpLog, HttpServices, MetricsPage, OpenBroker, Route } from "./route.ts";
import { mountRoutes } from "./router.ts";
import { signedRoutes } from "./signed.ts";
import { subjectRoutes } from "./subjects.ts";
import { swaggerRoutes } from "./swagger.ts";
import { type HttpClock, systemClock, TailSet } from "./tails.ts";
import { uploadRoutes } from "./uploads.ts";

export type { HttpMeter } from "./meter.ts";
export type { Mount, MountedCall } from "./mounts.ts";
export type { HttpLog } from "./route.ts";
export type { HttpClock } from "./tails.ts";

/** What the transport is made of. */
export interface HttpAppOptions {
  /** Asked whether it is ready, and for signed addresses; everything else goes through the callers' principals. */
  readonly broker: OpenBroker;
  /** What answers `/events`; the one that the other transports have, as it keeps what it has read. */
  readonly hub: EventHub;
  readonly authenticator: Authenticator;
  /** Browser origins let in beside the server's own; `*` alone lets all in. */
  readonly allowedOrigins: readonly string[];
  /** Version of the server, as the OpenAPI document shows it. */
  readonly version: string;
  readonly log: HttpLog;
  readonly metrics: MetricsPage;
  readonly clock?: HttpClock;
  /** Counts requests. */
  readonly meter?: HttpMeter;
  /** Bytes of requests under way, shared with the other transports. */
  readonly budget: ByteBudget;
  /** Requests of one address that are not answered yet, live tails included; 0 is no limit. */
  readonly requestsPerAddressMax: number;
  /** Paths that something else answers, behind the checks of this transport. */
  readonly mounts?: readonly Mount[];
}

/** What the transport asks of the server that listens. */
export interface HttpServer {
  /** Idle timeout of a request's connection in seconds; 0 = none. */
  timeout(request: Request, seconds: number): void;
  /** Address of the client; null once the request was answered to its last byte, or the client has gone. */
  requestIP(request: Request): { readonly address: string } | null;
}

/** The running transport. */
export interface HttpApp {
  /** Answers one request; never rejects. */
  fetch(request: Request, server: HttpServer): Response | Promise<Response>;
  /** Ends the live tails; call it when the broker has drained. */
  close(): void;
}

/** Makes the transport. */
export const createHttpApp = (options: HttpAppOptions): HttpApp => {
  const clock = options.clock ?? systemClock;
  let listening: HttpServer | undefined;
  const crowd = new Crowd(options.requestsPerAddressMax, (request) => listening?.requestIP(request)?.address);
  const tails = new TailSet(clock, (request) => crowd.leave(request));
  const services: HttpServices = {
    broker: options.broker,
    metrics: options.metrics,
    tails,
    budget: new BodyBudget(clock, (request) => listening?.requestIP(request) === null),
    keepOpen: (request) => listening?.timeout(request, 0),
  };
  const routes = allRoutes(services, options);
  const router = new Elysia({ strictPath: true, normalize: false });
  const { meter = noMeter } = options;
  const refused = meter.counter("other", "unmatched");
  const intakes = { budget: options.budget, pace: new Pace(clock) };
  mountRoutes(router, routes, options.authenticator, options.log, intakes, meter);
  return {
    fetch: (request, server) => {
      listening = server;
      if (!crowd.enter(request)) {
        refused(429, 0);
        return tooManyRequests();
      }
      const answer = guarded(request, options.allowedOrigins, routes, (passed) => router.fetch(passed));
      if (answer instanceof Promise) return answer.finally(() => tails.has(request) || crowd.leave(request));
      crowd.leave(request);
      return answer;
    },
    close: () => tails.close(),
  };
};

const allRoutes = (
  services: HttpServices,
  { hub, version, authenticator, mounts = [] }: HttpAppOptions,
): readonly Route[] => {
  let document: Promise<string> | undefined;
  const routes: readonly Route[] = [
    ...publishRoutes(services),
    ...uploadRoutes(),
    ...readRoutes(services),
    ...messageRoutes(services),
    ...subjectRoutes(),
    ...consumerRoutes(services),
    ...policyRoutes(),
    ...actorRoutes(),
    ...eventRoutes(services, hub),
    ...signedRoutes(services),
    ...opsRoutes(services),
    ...mountedRoutes(mounts, services, authenticator),
    ...swaggerRoutes(() => (document ??= openApiDocument(routes, version, authenticator.anonymous === undefined))),
  ];
  return routes;
};

const tooManyRequests = (): Response =>
  problemResponse(
    new StreamError("too_many_connections", "This address has too many requests under way; wait for their answers."),
  );

/** Lets own and allowed origins pass, and answers browsers' questions before requests from other origins. */
const guarded = (
  request: Request,
  allowedOrigins: readonly string[],
  routes: readonly Route[],
  answer: (request: Request) => Response | Promise<Response>,
): Response | Promise<Response> => {
  // Without a readable Host (HTTP/1.0 may leave it out) the address has no beginning that a router could skip.
  if (!request.url.startsWith("http")) {
    return problemResponse(new StreamError("malformed_request", "The request needs one valid Host header."));
  }
  const refused = checkOrigin(request, allowedOrigins) ?? tokenInAddress(request.url);
  if (refused !== undefined) return problemResponse(refused);
  const preflight = preflightResponse(request, routes);
  return withCors(request, preflight ?? answer(request));
};
