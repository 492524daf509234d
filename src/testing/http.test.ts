/**
 * What is HTTP's own, against the real server: refusals, paths, one message as a resource, formats, event streams,
 * listings, limits, origins, health and documentation.
 * @module
 */
import { describe, setDefaultTimeout } from "bun:test";
import { defineAcknowledgements } from "./http/acknowledgements.ts";
import { defineCodings } from "./http/codings.ts";
import { defineCompressed } from "./http/compressed.ts";
import { defineDeadLetters } from "./http/dead-letters.ts";
import { defineErrors } from "./http/errors.ts";
import { defineEvents } from "./http/events.ts";
import { defineBodyLimit, defineLifecycle, defineOrigins } from "./http/limits.ts";
import { defineListings } from "./http/listing.ts";
import { defineMessage } from "./http/message.ts";
import { defineInfoPages } from "./http/pages.ts";
import { definePaths } from "./http/paths.ts";
import { definePointers, defineSignedAddresses } from "./http/pointers.ts";
import { defineReading } from "./http/reading.ts";
import { defineTiming } from "./http/timing.ts";
import { useTestServer } from "./server.ts";

setDefaultTimeout(30_000);

describe("HTTP", () => {
  const server = useTestServer();
  defineErrors(server);
  definePaths(server);
  defineMessage(server);
  defineReading(server);
  defineListings(server);
  defineOrigins(server);
  defineLifecycle(server);
  defineInfoPages(server);
  defineEvents(server);
  defineCodings(server);
  defineTiming(server);
  defineAcknowledgements(server);
  defineDeadLetters(server);
  definePointers(server);
  defineSignedAddresses(server);
});

describe("HTTP with a 1 MiB limit", () => {
  const server = useTestServer({ env: { MTS_MAX_BODY_BYTES: "1MiB" } });
  defineBodyLimit(server);
});

describe("HTTP over a store that compresses", () => {
  const server = useTestServer({ env: { MTS_COMPRESS: "zstd" } });
  defineMessage(server);
  defineCodings(server);
  defineCompressed(server);
});
