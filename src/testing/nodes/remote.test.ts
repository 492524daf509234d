/**
 * The shared behaviour of the stream over remote stores: one node on Tarantool and S3, two nodes that share both, and
 * the mixed pairs. Restarts of the server are not here but in the tests of faults: those cases start servers of their
 * own over embedded stores.
 * @module
 */
import { describe, setDefaultTimeout } from "bun:test";
import { defineAcknowledged, defineWaiting } from "../cases/acknowledged.ts";
import { defineConcurrency } from "../cases/concurrency.ts";
import { defineConsumersAll } from "../cases/consumers-all.ts";
import { defineConsumersExplicit } from "../cases/consumers-explicit.ts";
import { type CaseContext, type MakeClient, useCaseContext } from "../cases/context.ts";
import { defineDeadLetters } from "../cases/dead-letters.ts";
import { defineDelivery } from "../cases/delivery.ts";
import { definePublishing } from "../cases/publishing.ts";
import { defineReads } from "../cases/reads.ts";
import { defineRetention } from "../cases/retention.ts";
import { defineSubjects } from "../cases/subjects.ts";
import { defineTiming } from "../cases/timing.ts";
import { GrpcClient } from "../grpc-client.ts";
import { HttpClient } from "../http-client.ts";
import type { TestServer } from "../server.ts";
import { WsClient } from "../ws-client.ts";
import { TwoNodesClient } from "./two-nodes-client.ts";
import { useBackends, useServerOver } from "./use-cluster.ts";

setDefaultTimeout(30_000);

type Group = (context: CaseContext) => void;

/** What becomes of a body after its publish. */
const lifecycle: readonly Group[] = [defineTiming, defineDeadLetters, defineAcknowledged, defineDelivery];

const allGroups: readonly Group[] = [
  definePublishing,
  defineSubjects,
  defineReads,
  defineConsumersAll,
  defineConsumersExplicit,
  defineConcurrency,
  defineRetention,
  ...lifecycle,
  defineWaiting,
];

const defineGroups = (
  name: string,
  server: () => TestServer,
  makeClient: MakeClient,
  groups: readonly Group[] = allGroups,
): void => {
  describe(name, () => {
    const context = useCaseContext(server, makeClient);
    for (const group of groups) group(context);
  });
};

const json: MakeClient = async ({ url }) => new HttpClient(url);
const msgpack: MakeClient = ({ wsUrl }) => WsClient.connect(wsUrl);

describe("over remote stores", () => {
  const backends = useBackends();
  const a = useServerOver(() => backends().env());
  const b = useServerOver(() => backends().env());

  defineGroups("one node, HTTP json", a, json);
  defineGroups("one node, WebSocket mts.msgpack.v1", a, msgpack);
  defineGroups("one node, HTTP msgpack", a, async ({ url }) => new HttpClient(url, "msgpack"), lifecycle);
  defineGroups("one node, WebSocket mts.json.v1", a, ({ wsUrl }) => WsClient.connect(wsUrl, "mts.json.v1"), lifecycle);
  defineGroups("one node, gRPC", a, async ({ grpcTarget }) => new GrpcClient(grpcTarget), lifecycle);
  defineGroups("two nodes", a, async (writer) => new TwoNodesClient(await msgpack(writer), await json(b())));

  describe("mixed pairs", () => {
    // The stores' own suites have the details; here only that each pair works together.
    const groups = [definePublishing, defineConcurrency, defineRetention, ...lifecycle];
    const sqliteAndS3 = useServerOver(() => ({ MTS_BODIES_URL: backends().bodiesUrl() }));
    const tarantoolAndFiles = useServerOver(() => ({ MTS_METADATA_URL: backends().metadataUrl() }));
    defineGroups("sqlite and S3", sqliteAndS3, msgpack, groups);
    defineGroups("Tarantool and files", tarantoolAndFiles, msgpack, groups);
  });
});
