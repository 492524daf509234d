/**
 * What is WebSocket's own, against the real server: the handshake, frames, requests, subscriptions, flow control,
 * consumers under push, the end of the server.
 * @module
 */
import { describe, setDefaultTimeout } from "bun:test";
import { useTestServer } from "./server.ts";
import { defineWsConsumers } from "./ws/consumers.ts";
import { defineFlow, defineHardLimit } from "./ws/flow.ts";
import { useWsGroup } from "./ws/group.ts";
import { defineFrameLimit, defineHandshake } from "./ws/handshake.ts";
import { defineWsLifecycle } from "./ws/lifecycle.ts";
import { defineRequests } from "./ws/requests.ts";
import { defineSubscriptions } from "./ws/subscriptions.ts";

setDefaultTimeout(30_000);

describe("WebSocket", () => {
  const group = useWsGroup(useTestServer());
  defineHandshake(group);
  defineRequests(group);
  defineSubscriptions(group);
  defineFlow(group);
  defineWsConsumers(group);
  defineWsLifecycle(group);
});

describe("WebSocket with a 1 MiB limit", () => {
  const server = useTestServer({ env: { MTS_MAX_BODY_BYTES: "1MiB" } });
  defineFrameLimit(server);
  defineHardLimit(server);
});
