import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { type LoadConfigOptions, loadConfig } from "./config.ts";
import { environmentNameOf, flagOf, initialText, settingsList, settingsMarkdown } from "./config-settings.ts";
import type { Config } from "./config-shape.ts";

const root = mkdtempSync(join(tmpdir(), "mts-config-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A working folder with these files. */
const folderWith = (files: Record<string, string> = {}): string => {
  const folder = mkdtempSync(join(root, "cwd-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
};

const load = (options: Partial<LoadConfigOptions>) =>
  loadConfig({ argv: [], env: {}, cwd: folderWith(), terminal: false, ...options });

const configOf = (options: Partial<LoadConfigOptions>): Config => {
  const result = load(options);
  if (!("config" in result)) throw new Error(JSON.stringify(result));
  return result.config;
};

const errorsOf = (options: Partial<LoadConfigOptions>): readonly string[] => {
  const result = load(options);
  if (!("errors" in result)) throw new Error(JSON.stringify(result));
  return result.errors;
};

describe("where a setting comes from", () => {
  test("nothing given: the defaults", () => {
    const cwd = folderWith();
    expect(configOf({ cwd })).toEqual({
      httpHost: "127.0.0.1",
      httpPort: 8000,
      grpcHost: "127.0.0.1",
      grpcPort: 50051,
      isGrpcPortGiven: false,
      grpcAutoAck: false,
      auth: { kind: "none" },
      insecure: false,
      tls: undefined,
      audit: "changes",
      metricsLabels: "none",
      connectionsPerAddressMax: 10_000,
      inFlightBytesMax: 256 * 1024 * 1024,
      dataDir: join(cwd, "data"),
      metadata: { kind: "sqlite", path: join(cwd, "data/metadata.sqlite") },
      bodies: { kind: "files", path: join(cwd, "data/bodies") },
      compress: "none",
      pointerLifetimeMs: 15 * 60_000,
      publicUrl: undefined,
      bodyBytesMax: 64 * 1024 * 1024,
      dedupeWindowMs: 120_000,
      sweepIntervalMs: 10_000,
      sweepGraceMs: 120_000,
      compactShare: 0.5,
      compactBelowBytes: 1024 * 1024,
      actors: ["metrics"],
      eventsLatenessMs: 60 * 60 * 1000,
      policies: [],
      allowedOrigins: [],
      logLevel: "info",
      logFormat: "json",
    });
  });

  test("flags over environment over file over defaults", () => {
    const cwd = folderWith({ "minitoolstream.yaml": "http_port: 1001\ngrpc_port: 1002\ndedupe_window: 3s\n" });
    const config = configOf({
      cwd,
      env: { MTS_GRPC_PORT: "2002", MTS_HTTP_PORT: "2001" },
      argv: ["--http-port", "3001"],
    });
    expect(config).toMatchObject({ httpPort: 3001, grpcPort: 2002, dedupeWindowMs: 3000, httpHost: "127.0.0.1" });
  });

  test("a flag takes its value after a space or an equals sign, and the last one counts", () => {
    expect(configOf({ argv: ["--http-port=1", "--http-port", "2"] }).httpPort).toBe(2);
  });

  test("the file may be JSON, and may be named", () => {
    const cwd = folderWith({ "minitoolstream.json": '{"http_port": 1001}', "other.yaml": "http_port: 1002" });
    expect(configOf({ cwd }).httpPort).toBe(1001);
    expect(configOf({ cwd, env: { MTS_CONFIG: "other.yaml" } }).httpPort).toBe(1002);
    expect(configOf({ cwd, argv: ["--config", join(cwd, "other.yaml")] }).httpPort).toBe(1002);
  });

  test("an empty file is no settings; a list is commas", () => {
    expect(configOf({ cwd: folderWith({ "minitoolstream.yaml": "# nothing yet\n" }) }).httpPort).toBe(8000);
    const cwd = folderWith({ "minitoolstream.yaml": "allowed_origins: [https://a.example, https://b.example]" });
    expect(configOf({ cwd }).allowedOrigins).toEqual(["https://a.example", "https://b.example"]);
  });

  test("variables of others are left alone", () => {
    expect(configOf({ env: { PATH: "/bin", HTTP_PORT: "x" } }).httpPort).toBe(8000);
  });
});

describe("values", () => {
  test("stores lie in the data folder unless a path is given, relative to the working folder", () => {
    const cwd = folderWith();
    expect(configOf({ cwd, argv: ["--data-dir", "/srv/mts"] })).toMatchObject({
      dataDir: "/srv/mts",
      metadata: { path: "/srv/mts/metadata.sqlite" },
      bodies: { path: "/srv/mts/bodies" },
    });
    expect(
      configOf({ cwd, env: { MTS_METADATA_URL: "sqlite:db/a.sqlite", MTS_BODIES_URL: "file:///srv/b" } }),
    ).toMatchObject({
      metadata: { path: join(cwd, "db/a.sqlite") },
      bodies: { path: "/srv/b" },
    });
  });

  test.each([
    [["--http-host", "0.0.0.0"], { httpHost: "0.0.0.0" }],
    [["--http-host", "[::1]"], { httpHost: "::1" }],
    [["--http-host", "node-1.example.com"], { httpHost: "node-1.example.com" }],
    [["--http-port", "0", "--grpc-port", "0"], { httpPort: 0, grpcPort: 0 }],
    [["--http-port", "65535"], { httpPort: 65535 }],
    [["--max-body-bytes", "1MB"], { bodyBytesMax: 1_000_000 }],
    [["--max-body-bytes", "4096"], { bodyBytesMax: 4096 }],
    [["--compress", "zstd"], { compress: "zstd" }],
    [["--public-url", "https://Stream.Example.com/"], { publicUrl: "https://stream.example.com" }],
    [["--pointer-lifetime", "24h"], { pointerLifetimeMs: 86_400_000 }],
    [["--pointer-lifetime", "1s"], { pointerLifetimeMs: 1000 }],
    [["--dedupe-window", "250ms"], { dedupeWindowMs: 250 }],
    [["--allowed-origins", "own"], { allowedOrigins: [] }],
    [["--allowed-origins", "*"], { allowedOrigins: ["*"] }],
    [
      ["--allowed-origins", "own, https://App.example.com:443/,http://localhost:3000"],
      { allowedOrigins: ["https://app.example.com", "http://localhost:3000"] },
    ],
    [["--log", "debug"], { logLevel: "debug", logFormat: "json" }],
    [["--log", "pretty"], { logLevel: "info", logFormat: "pretty" }],
    [["--log", "warn,pretty"], { logLevel: "warn", logFormat: "pretty" }],
  ])("%j", (argv, expected) => {
    expect(configOf({ argv })).toMatchObject(expected);
  });

  test("on a terminal the log is pretty unless it is told otherwise; off in YAML is the level", () => {
    expect(configOf({ terminal: true }).logFormat).toBe("pretty");
    expect(configOf({ terminal: true, env: { MTS_LOG: "json" } }).logFormat).toBe("json");
    expect(configOf({ cwd: folderWith({ "minitoolstream.yaml": "log: off" }) }).logLevel).toBe("off");
  });

  test.each([
    ["--http-host", "127.0.0.1:80"],
    ["--http-host", "http://localhost"],
    ["--http-host", "300.1.1.1"],
    ["--http-host", "*"],
    ["--http-port", "65536"],
    ["--http-port", "-1"],
    ["--http-port", "80.0"],
    ["--http-port", "0x50"],
    ["--http-port", " 80"],
    ["--http-port", ""],
    ["--data-dir", ""],
    ["--max-body-bytes", "0"],
    ["--max-body-bytes", "2GiB"],
    ["--max-body-bytes", "64 MiB"],
    ["--max-body-bytes", "64Mb"],
    ["--compress", "gzip"],
    ["--pointer-lifetime", "900"],
    ["--pointer-lifetime", "999ms"],
    ["--pointer-lifetime", "25h"],
    ["--dedupe-window", "120"],
    ["--dedupe-window", "0s"],
    ["--dedupe-window", "31d"],
    ["--metadata-url", "sqlite"],
    ["--metadata-url", "file:"],
    ["--metadata-url", "sqlite::memory:"],
    ["--metadata-url", "sqlite:a?mode=ro"],
    ["--metadata-url", "sqlite://host/a"],
    ["--bodies-url", "sqlite:"],
    ["--allowed-origins", "*,https://a.example"],
    ["--allowed-origins", "a.example"],
    ["--allowed-origins", "https://a.example/path"],
    ["--allowed-origins", "https://*.example"],
    ["--allowed-origins", "null"],
    ["--allowed-origins", "own,"],
    ["--log", "verbose"],
    ["--log", "info,debug"],
  ])("%s %j is refused, with its name and a fix", (flag, value) => {
    const errors = errorsOf({ argv: [`${flag}=${value}`] });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toStartWith(`${flag}: `);
    expect(errors[0]).toMatch(/; |\d to \d|1\w+ to \d/);
  });
});

describe("errors", () => {
  test("everything that is wrong is named at once, with its source", () => {
    const cwd = folderWith({ "minitoolstream.yaml": "http_prt: 1\ngrpc_port: {}\nlog: loud\n" });
    const errors = errorsOf({
      cwd,
      env: { MTS_DATADIR: "x", MTS_DEDUPE_WINDOW: "soon" },
      argv: ["--htttp-port", "1", "--max-body-bytes", "big", "stray"],
    });
    expect(errors.map((error) => error.slice(0, error.indexOf(": ")))).toEqual([
      "--htttp-port",
      "argument 5",
      "MTS_DATADIR",
      "minitoolstream.yaml",
      "minitoolstream.yaml",
      "--max-body-bytes",
      "MTS_DEDUPE_WINDOW",
      "minitoolstream.yaml",
    ]);
  });

  test.each([
    [{ argv: ["--http_port", "1"] }, "--http-port"],
    [{ argv: ["--htttp-port=1"] }, "--http-port"],
    [{ argv: ["--port", "1"] }, "--http-port or --grpc-port"],
    [{ env: { MTS_MAX_BODY: "1" } }, "MTS_MAX_BODY_BYTES"],
    [{ env: { MTS_HTTPPORT: "1" } }, "MTS_HTTP_PORT"],
    [{ cwd: folderWith({ "minitoolstream.yaml": "dataDir: x" }) }, "data_dir"],
  ])("a near miss is answered with the name that was meant: %j", (options, meant) => {
    const errors = errorsOf(options);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`(did you mean ${meant}?)`);
  });

  test("a name that is like none gets no suggestion", () => {
    expect(errorsOf({ argv: ["--colour"] })[0]).toBe("--colour: no such flag; --help lists all");
  });

  test("a flag at the end, or before another flag, needs its value", () => {
    expect(errorsOf({ argv: ["--http-port", "--log", "info"] })[0]).toContain("--http-port=VALUE");
    expect(errorsOf({ argv: ["--http-port"] })[0]).toContain("--http-port=VALUE");
  });

  test("a bad value is refused even where another source overrides it", () => {
    expect(errorsOf({ env: { MTS_HTTP_PORT: "x" }, argv: ["--http-port", "1"] })).toHaveLength(1);
  });

  test("files: missing, unreadable, two at once, no map", () => {
    expect(errorsOf({ argv: ["--config", "none.yaml"] })[0]).toContain('"none.yaml" cannot be read');
    expect(errorsOf({ argv: ["--config", "."] })[0]).toContain("cannot be read");
    expect(errorsOf({ cwd: folderWith({ "minitoolstream.yaml": "a: [b" }) })[0]).toContain("not valid YAML");
    expect(errorsOf({ cwd: folderWith({ "minitoolstream.json": "{" }) })[0]).toContain("not valid JSON");
    expect(errorsOf({ cwd: folderWith({ "minitoolstream.yaml": "- a" }) })[0]).toContain("no map");
    const both = folderWith({ "minitoolstream.yaml": "", "minitoolstream.json": "{}" });
    expect(errorsOf({ cwd: both })[0]).toContain("keep one of them");
  });

  test("stores on other machines", () => {
    const config = configOf({
      env: {
        MTS_METADATA_URL: "tarantool://mts:p%40ss@db.example",
        MTS_BODIES_URL:
          "s3://key:se%2Fcret@s3.example:9000/bucket?tls=false&region=eu&addressing=virtual&prefix=a/b&checksum=sha256",
      },
    });
    expect(config.metadata).toEqual({
      kind: "tarantool",
      host: "db.example",
      port: 3301,
      user: "mts",
      password: "p@ss",
    });
    expect(config.bodies).toEqual({
      kind: "s3",
      host: "s3.example",
      port: 9000,
      tls: false,
      accessKey: "key",
      secretKey: "se/cret",
      bucket: "bucket",
      region: "eu",
      addressing: "virtual",
      prefix: "a/b/",
      checksum: "sha256",
      publicAddress: undefined,
    });
  });

  test.each([
    ["https://files.example.com", { host: "files.example.com", port: 443, tls: true }],
    ["http://[::1]:9000/", { host: "::1", port: 9000, tls: false }],
  ])("clients reach the bucket at %s", (address, publicAddress) => {
    const url = `s3://key:secret@minio:9000/bucket?tls=false&public=${address}`;
    expect(configOf({ env: { MTS_BODIES_URL: url } }).bodies).toMatchObject({ host: "minio", publicAddress });
  });

  test.each([
    ["MTS_METADATA_URL", "tarantool://host:3301"],
    ["MTS_METADATA_URL", "tarantool://u:secret@h:99999"],
    ["MTS_METADATA_URL", "tarantool://u:secret@h:3301/space"],
    ["MTS_METADATA_URL", "mysql://u:secret@h"],
    ["MTS_BODIES_URL", "s3://a:secret@h/UPPER"],
    ["MTS_BODIES_URL", "s3://a:secret@h"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?tls=maybe"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?acl=public"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?checksum=md5"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?prefix=../x"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?public=files.example.com"],
    ["MTS_BODIES_URL", "s3://a:secret@h/bucket?public=https://files.example.com/path"],
  ])("%s=%s is refused, the fix is named, the secret is not repeated", (name, url) => {
    const [error] = errorsOf({ env: { [name]: url } });
    expect(error).toContain("write ");
    expect(error).not.toContain("secret");
  });

  test("two servers on one port", () => {
    expect(errorsOf({ argv: ["--http-port", "9000", "--grpc-port", "9000"] })).toHaveLength(1);
  });

  test("a password is never printed back, wherever it was put", () => {
    const url = "tarantool://user:hunter2@host:3301/x";
    const places: Partial<LoadConfigOptions>[] = [
      { argv: ["--metadata-url", url] },
      { argv: ["--metadata-uri", url] },
      { argv: [`--metadata-uri=${url}`] },
      { argv: [url] },
      { argv: [`--${url}`] },
      { argv: ["--http-host", url] },
      { argv: ["--allowed-origins", url] },
      { argv: ["--config", url] },
      { env: { MTS_BODIES_URL: "user:hunter2" } },
      { env: { MTS_META_URL: url } },
      { cwd: folderWith({ "minitoolstream.yaml": `metadata_url: [${url}` }) },
      { cwd: folderWith({ "minitoolstream.yaml": `metadata_url:${url}` }) },
      { cwd: folderWith({ "minitoolstream.json": `{"metadata_url": ${url}}` }) },
      { cwd: folderWith({ "minitoolstream.json": JSON.stringify({ [url]: 1, bodies_url: url }) }) },
    ];
    for (const options of places) {
      const errors = errorsOf(options);
      expect(errors).not.toBeEmpty();
      expect(errors.join("\n")).not.toContain("hunter2");
    }
  });

  test("an error stays one short line, whatever was given", () => {
    const errors = errorsOf({ argv: ["--http-port", `1\n\x1b[2J${"9".repeat(10_000)}`] });
    expect(errors[0]).not.toMatch(/[\n\x1b]/);
    expect(errors[0]!.length).toBeLessThan(300);
  });
});

describe("help, version and README", () => {
  test("--help names every flag and variable with its default, and wins over what is wrong", () => {
    const result = load({ argv: ["--nonsense", "--help"] });
    if (!("help" in result)) throw new Error(JSON.stringify(result));
    for (const setting of settingsList) {
      const { key } = setting;
      expect(result.help).toContain(`${flagOf(key)} `);
      expect(result.help).toContain(`${environmentNameOf(key)}, default ${initialText(setting)}\n`);
    }
    expect(load({ argv: ["-h"] })).toEqual(result);
  });

  test("--version is the version of package.json", () => {
    expect(load({ argv: ["--version"] })).toEqual({ version: packageJson.version });
  });

  test("the README has the table of the settings", () => {
    const readme = readFileSync(join(import.meta.dir, "../README.md"), "utf8");
    // The formatter pads the columns.
    const unpadded = readme.replace(/-{3,}/g, "---").replace(/ +\|/g, " |");
    expect(unpadded).toContain(settingsMarkdown());
  });
});
