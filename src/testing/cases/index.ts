/**
 * The shared behaviour of the stream: the same cases over every transport and format.
 * @module
 */
import { describe } from "bun:test";
import type { TestServer } from "../server.ts";
import { defineAcknowledged, defineWaiting } from "./acknowledged.ts";
import { defineConcurrency } from "./concurrency.ts";
import { defineConsumersAll } from "./consumers-all.ts";
import { defineConsumersExplicit } from "./consumers-explicit.ts";
import { type MakeClient, useCaseContext } from "./context.ts";
import { defineDeadLetters } from "./dead-letters.ts";
import { defineDelivery } from "./delivery.ts";
import { defineDurability } from "./durability.ts";
import { definePublishing } from "./publishing.ts";
import { defineReads } from "./reads.ts";
import { defineRetention } from "./retention.ts";
import { defineSubjects } from "./subjects.ts";
import { defineTiming } from "./timing.ts";

/** Defines the whole suite for one kind of client. @param waits whether a publish can wait for acknowledgements */
export const defineStreamCases = (
  name: string,
  server: () => TestServer,
  makeClient: MakeClient,
  { waits = true }: { readonly waits?: boolean } = {},
): void => {
  describe(name, () => {
    const context = useCaseContext(server, makeClient);
    definePublishing(context);
    defineSubjects(context);
    defineReads(context);
    defineConsumersAll(context);
    defineConsumersExplicit(context);
    defineConcurrency(context);
    defineRetention(context);
    defineTiming(context);
    defineDeadLetters(context);
    defineAcknowledged(context);
    if (waits) defineWaiting(context);
    defineDelivery(context);
    defineDurability(makeClient);
  });
};
