/**
 * What a route is: a row of the table from which the router, `Allow` and the OpenAPI document are made.
 * @module
 */
import type { Principal } from "../../auth/contract.ts";
import type { Broker } from "../../broker/contract.ts";
import { StreamError } from "../../core/errors.ts";
import { type ConsumerName, parseConsumerName, parseSubject, type Subject } from "../../core/subject.ts";
import type { Representation } from "./accept.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { Intake } from "./intake.ts";
import type { Operation } from "./openapi/operation.ts";
import type { Query } from "./query.ts";
import type { TailSet } from "./tails.ts";

/** Where failures of the server itself are written. */
export interface HttpLog {
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What of the stream answers everybody: the signature in a signed address is the permission. */
export type OpenBroker = Pick<Broker, "readiness" | "bodyBytesMax" | "signedBody" | "receiveUpload">;

/** The metrics in the text format of Prometheus. */
export interface MetricsPage {
  readonly contentType: string;
  text(): Promise<string>;
}

/** What the handlers share. */
export interface HttpServices {
  /** The stream itself, past all permissions, for what needs none; handlers use the one of their call. */
  readonly broker: OpenBroker;
  readonly tails: TailSet;
  readonly budget: BodyBudget;
  readonly metrics: MetricsPage;
  /** Lets a connection be silent for as long as it takes; without it long polls die at the idle timeout. */
  readonly keepOpen: (request: Request) => void;
}

/** One request on its way through a handler that answers everybody. */
export interface OpenCall {
  readonly request: Request;
  /** Path parameters, percent-decoded once; null where the encoding was malformed. */
  readonly params: Readonly<Record<string, string | null>>;
  readonly query: Query;
  /** The negotiated form of the answer; `json` where the route offers no choice. */
  readonly representation: Representation;
  /** Its body. */
  readonly intake: Intake;
}

/** One request of a caller who is known. */
export interface HttpCall extends OpenCall {
  readonly caller: Principal;
  /** The stream as the caller may use it. */
  readonly broker: Broker;
}

/** One row of the table. */
export type Route = OpenRoute | CallerRoute;

/** A row that answers everybody, also where tokens are asked for: what is stored shows under signed addresses only. */
interface OpenRoute extends RouteHead {
  readonly open: true;
  readonly handle: (call: OpenCall) => Response | Promise<Response>;
}

/** A row that wants to know who calls. */
interface CallerRoute extends RouteHead {
  readonly open?: undefined;
  readonly handle: (call: HttpCall) => Response | Promise<Response>;
}

/** What all rows have. */
interface RouteHead {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path in the router's form, `:name` for a parameter. */
  readonly path: string;
  /** Query parameters that the route knows; none when left out. */
  readonly query?: readonly string[];
  /** Forms in which it answers, the default first; left out where `Accept` plays no part. */
  readonly offers?: readonly [Representation, ...Representation[]];
  /** Its entry in the OpenAPI document; left out for pages. */
  readonly operation?: Operation;
  /** The entry of HEAD, where HEAD is more than a GET without its body. */
  readonly headOperation?: Operation;
}

/** A path parameter. @throws StreamError `malformed_request` when its percent-encoding is not UTF-8 */
export const pathParameter = (call: OpenCall, name: string): string => {
  const value = call.params[name];
  if (typeof value === "string") return value;
  throw new StreamError("malformed_request", `The ${name} in the path has a percent-encoding that is not UTF-8.`, {
    parameter: name,
  });
};

/** @throws StreamError `malformed_request`, `invalid_subject` */
export const subjectParameter = (call: OpenCall): Subject => parseSubject(pathParameter(call, "subject"));

/** @throws StreamError `malformed_request`, `invalid_consumer` */
export const consumerParameter = (call: OpenCall): ConsumerName => parseConsumerName(pathParameter(call, "name"));
