/**
 * How the settings of the stores are read, most of all their URLs: `sqlite:`, `tarantool://…`, `file:`, `s3://…`. A
 * problem never repeats a URL, because it may hold a password.
 * @module
 */
import type { BodiesChoice, MetadataChoice } from "./config-shape.ts";
import { parseAge } from "./core/duration.ts";

/** A value, or one sentence that says what is wrong and names the fix. It never repeats the value. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

const schemeOf = (raw: string): string => {
  const colon = raw.indexOf(":");
  return colon < 0 ? "" : raw.slice(0, colon).toLowerCase();
};

/** Reads `SCHEME:` and `SCHEME:PATH` (also `SCHEME:///PATH`) of a store on this machine. */
const parseLocal = (scheme: "sqlite" | "file", raw: string): Parsed<string> => {
  const wanted = `write ${scheme}: (in the data folder) or ${scheme}:PATH`;
  const rest = raw.slice(raw.indexOf(":") + 1);
  if (rest === ":memory:") return { problem: `would lose every message at the end of the process; ${wanted}` };
  if (rest.startsWith("//") && !rest.startsWith("///")) {
    return { problem: `names a host, but this store is on this machine; ${wanted}` };
  }
  if (/[?#\0]/.test(rest)) return { problem: `has options, but there are none; ${wanted}` };
  return { value: rest.startsWith("///") ? rest.slice(2) : rest };
};

/** What both remote URLs have in common. */
interface Remote {
  readonly url: URL;
  readonly user: string;
  readonly password: string;
  readonly host: string;
}

const parseRemote = (raw: string, wanted: string): Parsed<Remote> => {
  // Schemes that the URL standard does not know are parsed loosely; http gives ports and hosts their checks.
  const asHttp = raw.replace(/^[a-z0-9]+:/i, "http:");
  if (!/^http:\/\/[^/]/i.test(asHttp) || !URL.canParse(asHttp)) return { problem: `cannot be read; ${wanted}` };
  const url = new URL(asHttp);
  if (url.username === "" || url.password === "") return { problem: `has no user and password; ${wanted}` };
  if (url.hash !== "") return { problem: `has a # in it; write it as %23. ${wanted}` };
  try {
    const user = decodeURIComponent(url.username);
    const password = decodeURIComponent(url.password);
    return { value: { url, user, password, host: url.hostname.replace(/^\[|\]$/g, "") } };
  } catch {
    return { problem: `has a % that is no escape; write it as %25. ${wanted}` };
  }
};

const portOf = (url: URL, otherwise: number, isDefaultOfHttp: boolean): number => {
  if (url.port !== "") return Number(url.port);
  return isDefaultOfHttp ? 80 : otherwise;
};

/** Whether the text names port 80, which a URL drops. */
const namesPort80 = (raw: string): boolean => /^[a-z0-9]+:\/\/[^/?]*:80(?:[/?]|$)/i.test(raw);

const tarantoolWanted = "write tarantool://USER:PASSWORD@HOST:3301";

/** Reads `MTS_METADATA_URL`; the path of `sqlite:` may be empty, which means "in the data folder". */
export const parseMetadataUrl = (raw: string): Parsed<MetadataChoice> => {
  const scheme = schemeOf(raw);
  if (scheme === "sqlite") {
    const local = parseLocal("sqlite", raw);
    return "problem" in local ? local : { value: { kind: "sqlite", path: local.value } };
  }
  if (scheme !== "tarantool") {
    return { problem: `names no known store; write sqlite:, sqlite:PATH, or ${tarantoolWanted.slice(6)}` };
  }
  const remote = parseRemote(raw, tarantoolWanted);
  if ("problem" in remote) return remote;
  const { url, host, user, password } = remote.value;
  if (!["", "/"].includes(url.pathname) || url.search !== "") {
    return { problem: `has a path or options, but there are none; ${tarantoolWanted}` };
  }
  return { value: { kind: "tarantool", host, port: portOf(url, 3301, namesPort80(raw)), user, password } };
};

const dayMs = 24 * 60 * 60 * 1000;

/** How long signed addresses of bodies work. */
export const parsePointerLifetime = (raw: string): Parsed<number> => {
  const ms = parseAge(raw);
  if (ms === undefined) return { problem: "is no duration; write a whole number with a unit, such as 15m" };
  return ms >= 1000 && ms <= dayMs ? { value: ms } : { problem: "is out of range; 1s to 24h" };
};

const s3Wanted = "write s3://ACCESS_KEY:SECRET_KEY@HOST:9000/BUCKET?tls=false&region=us-east-1";
const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Folders of letters, digits, `.`, `_` and `-`, none of dots alone. */
const prefixPattern = /^(?:(?!\.+\/)[A-Za-z0-9._-]+\/)*$/;
const s3Options: readonly string[] = ["tls", "region", "addressing", "prefix", "checksum", "public"];

/** Reads `MTS_BODIES_URL`; the path of `file:` may be empty, which means "in the data folder". */
export const parseBodiesUrl = (raw: string): Parsed<BodiesChoice> => {
  const scheme = schemeOf(raw);
  if (scheme === "file") {
    const local = parseLocal("file", raw);
    return "problem" in local ? local : { value: { kind: "files", path: local.value } };
  }
  if (scheme !== "s3") return { problem: `names no known store; write file:, file:PATH, or ${s3Wanted.slice(6)}` };
  const remote = parseRemote(raw, s3Wanted);
  return "problem" in remote ? remote : parseS3(remote.value, raw);
};

const parseS3 = ({ url, host, user, password }: Remote, raw: string): Parsed<BodiesChoice> => {
  const bucket = url.pathname.slice(1).replace(/\/$/, "");
  if (!bucketPattern.test(bucket)) {
    return { problem: `names no bucket (3 to 63 of a-z 0-9 . -) behind the host; ${s3Wanted}` };
  }
  const options = url.searchParams;
  const unknown = [...options.keys()].find((name) => !s3Options.includes(name));
  if (unknown !== undefined)
    return { problem: `has an unknown option; there are ${s3Options.join(", ")}. ${s3Wanted}` };
  const tls = options.get("tls") ?? "true";
  if (tls !== "true" && tls !== "false") return { problem: `has a tls that is neither true nor false; ${s3Wanted}` };
  const addressing = options.get("addressing") ?? "path";
  if (addressing !== "path" && addressing !== "virtual") {
    return { problem: `has an addressing that is neither path nor virtual; ${s3Wanted}` };
  }
  const checksum = options.get("checksum") ?? "auto";
  if (checksum !== "auto" && checksum !== "crc32" && checksum !== "sha256") {
    return { problem: `has a checksum that is neither auto, crc32 nor sha256; ${s3Wanted}` };
  }
  const given = options.get("prefix") ?? "";
  const prefix = given === "" || given.endsWith("/") ? given : `${given}/`;
  if (!prefixPattern.test(prefix))
    return { problem: `has a prefix with more than letters, digits, . _ - and /; ${s3Wanted}` };
  const publicAddress = publicAddressOf(options.get("public"));
  if (publicAddress === null) {
    return { problem: `has a public address that is not like https://files.example.com; ${s3Wanted}` };
  }
  return {
    value: {
      kind: "s3",
      host,
      port: portOf(url, tls === "true" ? 443 : 9000, namesPort80(raw)),
      tls: tls === "true",
      accessKey: user,
      secretKey: password,
      bucket,
      region: options.get("region") ?? "us-east-1",
      addressing,
      prefix,
      publicAddress,
      checksum,
    },
  };
};

/** The address that clients use; null when it is none. */
const publicAddressOf = (
  raw: string | null,
): { readonly host: string; readonly port: number; readonly tls: boolean } | null | undefined => {
  if (raw === null) return undefined;
  if (!/^https?:\/\/[^/?#@\s]+\/?$/i.test(raw) || !URL.canParse(raw)) return null;
  const { protocol, hostname, port } = new URL(raw);
  const tls = protocol === "https:";
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? (tls ? 443 : 80) : Number(port), tls };
};
