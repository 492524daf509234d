/**
 * grpcurl, which knows nothing of this server but what reflection tells it.
 * @module
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { guard, release } from "../guardian.ts";
import { uniqueSubject, useTestServer } from "../server.ts";
import { grpcClientsFolder } from "./installed.ts";

setDefaultTimeout(30_000);

const server = useTestServer();
let program: string;

beforeAll(async () => {
  program = join(await grpcClientsFolder(), "bin", "grpcurl");
}, 300_000);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const grpcurl = async (...words: readonly string[]): Promise<Ended> => {
  const child = Bun.spawn([program, "-plaintext", ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  guard(child.pid);
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  release(child.pid);
  return { code, stdout, stderr };
};

/** `grpcurl -d JSON ADDRESS METHOD`; the answers, or its failure. */
const call = (method: string, request: unknown, ...flags: readonly string[]): Promise<Ended> =>
  grpcurl(...flags, "-d", JSON.stringify(request), server().grpcTarget, method);

const answer = async (method: string, request: unknown): Promise<unknown> => {
  const { code, stdout, stderr } = await call(method, request);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
};

describe("grpcurl", () => {
  test("lists the services", async () => {
    const { stdout } = await grpcurl(server().grpcTarget, "list");
    for (const name of ["minitoolstream.IngressService", "minitoolstream.EgressService", "grpc.health.v1.Health"]) {
      expect(stdout.split("\n")).toContain(name);
    }
  });

  test("describes them as the clients know them", async () => {
    const { stdout } = await grpcurl(server().grpcTarget, "describe", "minitoolstream.EgressService");
    for (const method of ["GetLastSequence", "Fetch", "Subscribe", "AckMessage"])
      expect(stdout).toContain(`rpc ${method} (`);
    const message = await grpcurl(server().grpcTarget, "describe", ".minitoolstream.Message");
    expect(message.stdout).toContain(".google.protobuf.Timestamp timestamp = 5;");
    const request = await grpcurl(server().grpcTarget, "describe", ".minitoolstream.SubscribeRequest");
    expect(request.stdout).toContain("optional uint64 start_sequence = 2;");
  });

  test("publishes, fetches and acknowledges without files", async () => {
    const subject = uniqueSubject("curl");
    const data = Buffer.from("hello").toString("base64");
    expect(await answer("minitoolstream.IngressService/Publish", { subject, data, headers: { a: "b" } })).toEqual({
      sequence: "1",
    });
    const fetched = { subject, durable_name: "d", batch_size: 5 };
    expect(await answer("minitoolstream.EgressService/Fetch", fetched)).toMatchObject({
      subject,
      sequence: "1",
      data,
      headers: { a: "b", "data-size": "5" },
    });
    const acked = { subject, durable_name: "d", sequence: 1 };
    expect(await answer("minitoolstream.EgressService/AckMessage", acked)).toMatchObject({ success: true });
    expect((await call("minitoolstream.EgressService/Fetch", fetched)).stdout).toBe("");
  });

  test("shows a failure with its code, and ours in the trailers", async () => {
    const { code, stdout, stderr } = await call("minitoolstream.IngressService/Publish", { subject: "a b" }, "-v");
    expect(code).toBe(64 + 3);
    expect(stderr).toContain("Code: InvalidArgument");
    expect(stdout).toContain("mts-code: invalid_subject");
  });

  test("checks the health of the server and of each service", async () => {
    for (const service of ["", "minitoolstream.IngressService", "minitoolstream.EgressService"]) {
      expect(await answer("grpc.health.v1.Health/Check", { service })).toEqual({ status: "SERVING" });
    }
    const { stderr } = await call("grpc.health.v1.Health/Check", { service: "nobody" });
    expect(stderr).toContain("Code: NotFound");
  });

  test("an unknown method or service is UNIMPLEMENTED", async () => {
    const proto = join(import.meta.dir, "protos");
    const flags = ["-import-path", proto, "-proto", "later.proto"];
    expect((await call("minitoolstream.EgressService/GetLastSequence", { subject: "a" }, ...flags)).code).toBe(0);
    const { stderr } = await call("minitoolstream.EgressService/Unknown", {}, ...flags);
    expect(stderr).toMatch(/does not include a method|Unimplemented/);
  });
});
