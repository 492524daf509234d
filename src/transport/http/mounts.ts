/**
 * Paths of this port that something else answers, such as GraphQL: this transport checks the request as for any route
 * of its own (origin, token, limits of bodies and of requests), and what is mounted answers. It is known by its shape
 * alone, so that neither knows the other.
 * @module
 */
import type { Authenticator, Principal } from "../../auth/contract.ts";
import { assert } from "../../core/errors.ts";
import { callerOf } from "./access.ts";
import { checkContentEncoding } from "./media.ts";
import { heldStream } from "./mounted-stream.ts";
import type { HttpServices, OpenCall, Route } from "./route.ts";

/** One request of a caller who is known. */
export interface MountedCall {
  readonly request: Request;
  /** The whole body; undefined for GET. */
  readonly body: Uint8Array | undefined;
  readonly caller: Principal;
}

/** A path that something else answers. HEAD is asked as GET, its body is left out. */
export interface Mount {
  /** In the router's form, `:name` for a parameter. */
  readonly path: string;
  readonly methods: readonly ("GET" | "POST")[];
  /** Query parameters that it knows; none when left out. */
  readonly query?: readonly string[];
  /** Answers everybody, for pages in which nothing shows that is stored; undefined asks who calls, and `answer`. */
  readonly page?: (request: Request) => Response | Promise<Response> | undefined;
  /** Answers a caller; left out where there is nothing but pages. A body of `text/event-stream` may be endless. */
  readonly answer?: (call: MountedCall) => Response | Promise<Response>;
  /** Largest body of a request in bytes; 0 when left out. */
  readonly bodyBytesMax?: number;
}

/** The routes of what is mounted. */
export const mountedRoutes = (
  mounts: readonly Mount[],
  services: HttpServices,
  authenticator: Authenticator,
): readonly Route[] =>
  mounts.flatMap((mount) =>
    mount.methods.map(
      (method): Route => ({
        method,
        path: mount.path,
        // Open as a route; `callerOf` asks for a token where it is no page.
        open: true,
        ...(mount.query === undefined ? {} : { query: mount.query }),
        handle: (call) => mount.page?.(call.request) ?? answered(mount, call, services, authenticator),
      }),
    ),
  );

const answered = async (
  { answer, bodyBytesMax = 0 }: Mount,
  { request, intake }: OpenCall,
  services: HttpServices,
  authenticator: Authenticator,
): Promise<Response> => {
  assert(answer !== undefined, "what has pages only has one for every request");
  const caller = await callerOf(request, authenticator);
  if (caller instanceof Response) return caller;
  const hasBody = request.method === "POST";
  if (hasBody) checkContentEncoding(request);
  const body = hasBody ? await intake.bytes(bodyBytesMax) : undefined;
  const response = await answer({ request, body, caller });
  return heldStream(response, request, services);
};
