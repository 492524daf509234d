/**
 * Application actors: how they stand, and having them begin anew.
 * @module
 */
import { actorView } from "../../codec/actor-view.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import * as operations from "./openapi/actors.ts";
import { consumerParameter, type HttpCall, type Route } from "./route.ts";

const collection = "/v1/actors";
const one = `${collection}/:name`;

/** The routes of actors. */
export const actorRoutes = (): readonly Route[] => [
  {
    method: "GET",
    path: collection,
    offers: structuredForms,
    handle: listActors,
    operation: operations.listActorsOperation,
  },
  { method: "GET", path: one, offers: structuredForms, handle: showActor, operation: operations.getActorOperation },
  {
    method: "POST",
    path: `${one}/rebuild`,
    offers: structuredForms,
    handle: rebuildActor,
    operation: operations.rebuildActorOperation,
  },
];

const listActors = async ({ broker, representation }: HttpCall): Promise<Response> =>
  structuredResponse({ actors: (await broker.actors()).map(actorView) }, representation);

const showActor = async (call: HttpCall): Promise<Response> =>
  structuredResponse(actorView(await call.broker.actor(consumerParameter(call))), call.representation);

const rebuildActor = async (call: HttpCall): Promise<Response> =>
  structuredResponse(actorView(await call.broker.rebuildActor(consumerParameter(call))), call.representation, 202);
