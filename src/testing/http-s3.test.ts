/**
 * What HTTP's clients have of an S3 server directly: pointers into its bucket, and uploads past ours. Against a real
 * MinIO.
 * @module
 */
import { afterAll, beforeAll, describe, setDefaultTimeout } from "bun:test";
import { definePointers } from "./http/pointers.ts";
import { startMinio, type TestMinio } from "./minio.ts";
import { startTestServer, type TestServer } from "./server.ts";

setDefaultTimeout(30_000);
/** The first run on a machine builds MinIO. */
const buildMsMax = 15 * 60_000;

describe("HTTP over S3", () => {
  let minio: TestMinio | undefined;
  let server: TestServer | undefined;
  beforeAll(async () => {
    minio = await startMinio();
    const { accessKey, secretKey, region, port } = minio.endpoint;
    const url = `s3://${accessKey}:${secretKey}@127.0.0.1:${port}/bodies?tls=false&region=${region}`;
    server = await startTestServer({ env: { MTS_BODIES_URL: url } });
  }, buildMsMax);
  afterAll(async () => {
    await server?.close();
    await minio?.stop();
  }, 30_000);
  definePointers(() => {
    if (server === undefined) throw new Error("the server is started before the first test, not earlier");
    return server;
  });
});
