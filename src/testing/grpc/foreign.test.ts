/**
 * Clients written for the original against this server: Go and Python, stubs of both generations, over the embedded
 * stores and over Tarantool and S3.
 * @module
 */
import { describe, setDefaultTimeout } from "bun:test";
import { useBackends, useServerOver } from "../nodes/use-cluster.ts";
import { type TestServer, useTestServer } from "../server.ts";
import {
  bodyBytesMax,
  defineCalls,
  defineCompression,
  defineConcurrency,
  defineSizes,
  defineSubscribe,
} from "./cases.ts";
import { useForeign } from "./context.ts";

setDefaultTimeout(30_000);

const env = { MTS_MAX_BODY_BYTES: String(bodyBytesMax) };

const defineForeign = (server: () => TestServer): void => {
  for (const language of ["Go", "Python"] as const) {
    for (const generation of ["early", "later"] as const) {
      describe(`${language}, ${generation} protocol`, () => {
        const context = useForeign(server, language, generation);
        for (const group of [defineCalls, defineSubscribe, defineSizes, defineCompression, defineConcurrency])
          group(context);
      });
    }
  }
};

describe("over the embedded stores", () => {
  defineForeign(useTestServer({ env }));
});

describe("over Tarantool and S3", () => {
  const backends = useBackends();
  defineForeign(useServerOver(() => ({ ...env, ...backends().env() })));
});
