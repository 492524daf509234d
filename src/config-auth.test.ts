/**
 * Settings of tokens, TLS and reach: what must come together, what is refused, and what the process says of it.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "./config.ts";
import { isLoopback, openToOthers } from "./config-auth.ts";
import type { Config } from "./config-shape.ts";

const load = (...argv: readonly string[]) => loadConfig({ argv, env: {}, cwd: "/srv", terminal: false });

const configOf = (...argv: readonly string[]): Config => {
  const result = load(...argv);
  if (!("config" in result)) throw new Error(JSON.stringify(result));
  return result.config;
};

const errorsOf = (...argv: readonly string[]): readonly string[] => {
  const result = load(...argv);
  if (!("errors" in result)) throw new Error(JSON.stringify(result));
  return result.errors;
};

const named = ["--auth=jwt", "--auth-issuer=me", "--auth-audience=streams"];
const secret = "s3cret-".repeat(5);

describe("tokens", () => {
  test.each([
    ["--auth-public-key=keys/a.pem", { kind: "public_key", path: "/srv/keys/a.pem" }],
    ["--auth-jwks-file=/etc/set.json", { kind: "jwks_file", path: "/etc/set.json" }],
    ["--auth-jwks-url=https://issuer.example/keys", { kind: "jwks_url", url: "https://issuer.example/keys" }],
    ["--auth-jwks-url=http://127.0.0.1:9/keys", { kind: "jwks_url", url: "http://127.0.0.1:9/keys" }],
    ["--auth-jwks-url=http://[::1]:9/keys", { kind: "jwks_url", url: "http://[::1]:9/keys" }],
  ])("%s accepts public-key signatures", (flag, key) => {
    expect(configOf(...named, flag).auth).toEqual({
      kind: "jwt",
      algorithms: ["RS256", "ES256", "EdDSA"],
      issuer: "me",
      audience: "streams",
      key,
    } as Config["auth"]);
  });

  test("a secret accepts HS256 and nothing else", () => {
    expect(configOf(...named, `--auth-secret=${secret}`).auth).toMatchObject({
      algorithms: ["HS256"],
      key: { secret },
    });
    expect(configOf(...named, "--auth-secret-file=x").auth).toMatchObject({ algorithms: ["HS256"] });
  });

  test("fewer algorithms may be asked for, other ones not", () => {
    const key = "--auth-public-key=a.pem";
    expect(configOf(...named, key, "--auth-algorithms=ES256, EdDSA").auth).toMatchObject({
      algorithms: ["ES256", "EdDSA"],
    });
    expect(errorsOf(...named, key, "--auth-algorithms=RS256,HS256")[0]).toContain("HS256 cannot be used with public");
    expect(errorsOf(...named, "--auth-secret-file=a", "--auth-algorithms=RS256")[0]).toContain("write HS256");
    for (const word of ["none", "rs256", "RS256,", "RS512"]) {
      expect(errorsOf(...named, key, `--auth-algorithms=${word}`)[0]).toStartWith("--auth-algorithms: ");
    }
  });

  test("everything that is missing is named at once", () => {
    const [error, ...more] = errorsOf("--auth=jwt");
    for (const name of ["auth_issuer", "auth_audience", "auth_public_key", "auth_jwks_url", "auth_secret_file"]) {
      expect(error).toContain(name);
    }
    expect(more).toEqual([]);
  });

  test("two kinds of keys are one too many", () => {
    const both = errorsOf(...named, "--auth-public-key=a", "--auth-secret-file=b");
    expect(both[0]).toContain("auth_public_key, auth_secret_file");
  });

  test("keys without jwt are a mistake, unless none is meant", () => {
    expect(errorsOf("--auth-public-key=a.pem")[0]).toContain("--auth jwt");
    expect(configOf("--auth-public-key=a.pem", "--auth=none").auth).toEqual({ kind: "none" });
  });

  test.each(["http://issuer.example/keys", "ftp://issuer.example", "issuer.example", "https://u:p@issuer.example"])(
    "keys do not come from %s",
    (url) => {
      const [error] = errorsOf(...named, `--auth-jwks-url=${url}`);
      expect(error).toStartWith("--auth-jwks-url: ");
    },
  );

  test("a short secret is refused and never printed", () => {
    const [error] = errorsOf(...named, "--auth-secret=hunter2");
    expect(error).toContain("shorter than 32 bytes");
    expect(error).not.toContain("hunter2");
  });
});

describe("the rest", () => {
  test("certificate and key come together", () => {
    expect(configOf("--tls-cert=c.pem", "--tls-key=k.pem").tls).toEqual({
      certPath: "/srv/c.pem",
      keyPath: "/srv/k.pem",
    });
    expect(errorsOf("--tls-cert=c.pem")[0]).toContain("tls_cert, tls_key");
    expect(errorsOf("--tls-key=c.pem")[0]).toContain("tls_cert, tls_key");
  });

  test("a switch needs no value, and takes one", () => {
    expect(configOf("--insecure").insecure).toBe(true);
    expect(configOf("--insecure", "--http-port=1")).toMatchObject({ insecure: true, httpPort: 1 });
    expect(configOf("--insecure", "false").insecure).toBe(false);
    expect(configOf("--grpc-auto-ack=true").grpcAutoAck).toBe(true);
    expect(errorsOf("--insecure=yes")[0]).toContain("true or false");
    expect(errorsOf("--insecure", "yes")[0]).toStartWith("argument 2: unexpected");
  });

  test("bounds, and whether the port of gRPC was given", () => {
    expect(configOf("--max-inflight-bytes=1GiB", "--max-connections-per-address=0", "--audit=all")).toMatchObject({
      ...{ inFlightBytesMax: 1024 ** 3, connectionsPerAddressMax: 0, audit: "all" },
    });
    expect(configOf("--grpc-port=50051").isGrpcPortGiven).toBe(true);
    for (const flag of ["--max-inflight-bytes=1kB", "--max-connections-per-address=-1", "--audit=some"]) {
      expect(errorsOf(flag)).toHaveLength(1);
    }
  });

  test("the token of a client is none of the server's business", () => {
    expect(loadConfig({ argv: [], env: { MTS_TOKEN: "x" }, cwd: "/srv", terminal: false })).toHaveProperty("config");
  });
});

describe("who can reach the server", () => {
  test.each([
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "localhost",
    "LocalHost",
    "::ffff:127.0.0.1",
  ])("%s is this machine", (host) => expect(isLoopback(host)).toBe(true));
  test.each(["0.0.0.0", "::", "10.0.0.1", "192.168.127.1", "::2", "1::1", "localhost.example.com", "127.0.0.1.nip.io"])(
    "%s is not",
    (host) => expect(isLoopback(host)).toBe(false),
  );

  test("without tokens only this machine, unless it is said", () => {
    expect(openToOthers(configOf())).toBeUndefined();
    expect(openToOthers(configOf("--http-host=0.0.0.0"))).toContain("http_host 0.0.0.0");
    expect(openToOthers(configOf("--grpc-host=::"))).toContain("grpc_host ::");
    expect(openToOthers(configOf("--http-host=0.0.0.0", "--insecure"))).toBeUndefined();
    expect(openToOthers(configOf("--http-host=0.0.0.0", ...named, "--auth-secret-file=x"))).toBeUndefined();
  });

  test("the process ends with 2 and names the ways out, before it touches anything", async () => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_")));
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "main.ts"), "--http-host=0.0.0.0", "--data-dir=/nowhere/at/all"],
      { env, stdout: "pipe", stderr: "pipe" },
    );
    expect(await child.exited).toBe(2);
    const said = await new Response(child.stderr).text();
    for (const way of ["--auth jwt", "127.0.0.1", "--insecure"]) expect(said).toContain(way);
  });

  test("a key that cannot be used ends it with 1 and the file's name", async () => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_")));
    const child = Bun.spawn(
      [
        ...[process.execPath, join(import.meta.dir, "main.ts"), "--http-port=0", "--grpc-port=0", ...named],
        ...["--auth-public-key=/nowhere/key.pem", "--data-dir", `${process.env["TMPDIR"] ?? "/tmp"}/mts-no-key`],
      ],
      { env, stdout: "pipe", stderr: "pipe" },
    );
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toContain("/nowhere/key.pem cannot be read");
  });
});
