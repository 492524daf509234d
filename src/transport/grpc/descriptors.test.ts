/**
 * What reflection tells is what the proto files say now.
 * @module
 */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { protoSha256 } from "./descriptor-set.ts";
import { loadDescriptors } from "./descriptors.ts";

test("the descriptors were made from the proto files as they are; else run scripts/grpc-descriptors", () => {
  const folder = join(import.meta.dir, "proto");
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).sort()) hash.update(readFileSync(join(folder, name)));
  expect(protoSha256).toBe(hash.digest("hex"));
});

test("symbols lead to their file and its imports", () => {
  const descriptors = loadDescriptors();
  expect(descriptors.services).toEqual([
    "eventhub.EventHub",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "minitoolstream.EgressService",
    "minitoolstream.IngressService",
    "minitoolstream.v1.StreamService",
  ]);
  for (const symbol of [
    "minitoolstream.EgressService.Fetch",
    "minitoolstream.Message.HeadersEntry",
    "minitoolstream.v1.Mode",
    "grpc.health.v1.HealthCheckResponse.ServingStatus",
  ]) {
    expect(descriptors.bySymbol(symbol)).toBeDefined();
  }
  // With the timestamp that it imports.
  expect(descriptors.bySymbol("minitoolstream.EgressService")).toHaveLength(2);
  expect(descriptors.bySymbol("minitoolstream.Nothing")).toBeUndefined();
});
