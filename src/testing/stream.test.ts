/**
 * The shared suite over every transport and format, against the real server.
 * @module
 */
import { setDefaultTimeout } from "bun:test";
import { defineStreamCases } from "./cases/index.ts";
import { GrpcClient } from "./grpc-client.ts";
import { HttpClient } from "./http-client.ts";
import { useTestServer } from "./server.ts";
import { WsClient } from "./ws-client.ts";

setDefaultTimeout(30_000);

const server = useTestServer();

for (const format of ["json", "msgpack", "ndjson"] as const) {
  defineStreamCases(`HTTP ${format}`, server, async ({ url }) => new HttpClient(url, format));
}
for (const protocol of ["mts.msgpack.v1", "mts.json.v1"] as const) {
  defineStreamCases(`WebSocket ${protocol}`, server, ({ wsUrl }) => WsClient.connect(wsUrl, protocol));
}
defineStreamCases("gRPC", server, async ({ grpcTarget }) => new GrpcClient(grpcTarget), { waits: false });
