/**
 * Which tokens are let in, and which are not: the table of attacks, the kinds of keys, and what is remembered.
 * @module
 */
import { afterAll, describe, expect, test } from "bun:test";
import { createHmac, sign as signBytes } from "node:crypto";
import type { Broker } from "../broker/contract.ts";
import { StreamError } from "../core/errors.ts";
import {
  audience,
  fullClaims,
  issuer,
  keyFolder,
  makeSecret,
  makeSigner,
  publicJwk,
  publicPem,
  rawToken,
  type Signer,
  signToken,
  signWithSecret,
} from "../testing/tokens.ts";
import { type AuthenticatorOptions, createAuthenticator } from "./authenticator.ts";
import type { AuthChoice, AuthKeyChoice, TokenAlgorithm } from "./choice.ts";
import type { Authenticator, Principal } from "./contract.ts";

const folder = keyFolder();
afterAll(() => folder.remove());

/** Nothing here gets as far as the stream. */
const noBroker = { epoch: "none", bodyBytesMax: 1 } as Broker;

const lines: Readonly<Record<string, unknown>>[] = [];
const log = {
  info: (event: string, fields: Readonly<Record<string, unknown>>) => lines.push({ event, ...fields }),
  warn: (event: string, fields: Readonly<Record<string, unknown>>) => lines.push({ event, ...fields }),
};

const jwt = (key: AuthKeyChoice, algorithms: readonly TokenAlgorithm[]): AuthChoice => ({
  kind: "jwt",
  algorithms,
  issuer,
  audience,
  key,
});

const make = (auth: AuthChoice, options: Partial<AuthenticatorOptions> = {}): Authenticator =>
  createAuthenticator({ auth, broker: noBroker, audit: "changes", log, ...options });

const asymmetric: readonly TokenAlgorithm[] = ["RS256", "ES256", "EdDSA"];

let files = 0;
const forSigner = (signer: Signer, options: Partial<AuthenticatorOptions> = {}): Authenticator => {
  const path = folder.write(`${files++}.pem`, publicPem(signer));
  return make(jwt({ kind: "public_key", path }, asymmetric), options);
};

const signer = makeSigner("RS256");
const authenticator = forSigner(signer);

const outcomeOf = async (token: string, of = authenticator): Promise<Principal | StreamError> => {
  try {
    return await of.authenticate(token);
  } catch (thrown) {
    if (thrown instanceof StreamError) return thrown;
    throw thrown;
  }
};

const codeOf = async (token: string, of = authenticator): Promise<string> => {
  const outcome = await outcomeOf(token, of);
  return outcome instanceof StreamError ? outcome.code : outcome.clientId;
};

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

describe("keys", () => {
  test.each(asymmetric)("%s by a PEM file", async (alg) => {
    const own = makeSigner(alg as Signer["alg"]);
    expect(await codeOf(await signToken(own), forSigner(own))).toBe("tester");
    expect(await codeOf(await signToken(makeSigner(alg as Signer["alg"])), forSigner(own))).toBe("unauthenticated");
  });

  test("PEM of older tools: PKCS#1, and SPKI under the label of PKCS#1", async () => {
    const spki = signer.publicKey.export({ type: "spki", format: "der" }).toString("base64");
    const pems = [
      signer.publicKey.export({ type: "pkcs1", format: "pem" }),
      `-----BEGIN RSA PUBLIC KEY-----\n${spki.replace(/(.{64})/g, "$1\n")}\n-----END RSA PUBLIC KEY-----\n`,
    ];
    for (const pem of pems) {
      const path = folder.write("old.pem", pem);
      expect(await codeOf(await signToken(signer), make(jwt({ kind: "public_key", path }, ["RS256"])))).toBe("tester");
    }
  });

  test("several keys in one file, for the time of a change", async () => {
    const [old, young] = [makeSigner(), makeSigner()];
    const path = folder.write("both.pem", publicPem(old) + publicPem(young) + publicPem(signer));
    const both = make(jwt({ kind: "public_key", path }, asymmetric));
    for (const one of [old, young, signer]) expect(await codeOf(await signToken(one), both)).toBe("tester");
    expect(await codeOf(await signToken(makeSigner()), both)).toBe("unauthenticated");
  });

  test("HS256 by a secret, given or in a file with a line feed at its end", async () => {
    const secret = makeSecret();
    const token = await signWithSecret(secret);
    const path = folder.write("secret", `${secret}\n`);
    expect(await codeOf(token, make(jwt({ kind: "secret", secret }, ["HS256"])))).toBe("tester");
    expect(await codeOf(token, make(jwt({ kind: "secret_file", path }, ["HS256"])))).toBe("tester");
    const other = make(jwt({ kind: "secret", secret: makeSecret() }, ["HS256"]));
    expect(await codeOf(token, other)).toBe("unauthenticated");
  });

  test("a JWK set in a file, which may change under the server", async () => {
    const [old, young] = [makeSigner("ES256"), makeSigner("RS256")];
    const path = folder.write("set.json", JSON.stringify({ keys: [await publicJwk(old, "old")] }));
    const set = make(jwt({ kind: "jwks_file", path }, asymmetric));
    expect(await codeOf(await signToken(old, {}, { kid: "old" }), set)).toBe("tester");
    const late = await signToken(young, {}, { kid: "young" });
    expect(await codeOf(late, set)).toBe("unauthenticated");
    folder.write("set.json", "{ half");
    expect(await codeOf(await signToken(old, { n: 1 }, { kid: "old" }), set)).toBe("tester");
    folder.write("set.json", JSON.stringify({ keys: [await publicJwk(old, "old"), await publicJwk(young, "young")] }));
    expect(await codeOf(late, set)).toBe("tester");
  });

  test("a JWK set behind a URL: fetched once, again for a new key, and its absence is nobody's token", async () => {
    const [first, second] = [makeSigner("ES256"), makeSigner("ES256")];
    let asked = 0;
    const keys = [await publicJwk(first, "a"), await publicJwk(second, "b")];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        asked++;
        return Response.json({ keys });
      },
    });
    const remote = make(jwt({ kind: "jwks_url", url: server.url.href }, asymmetric));
    expect(await codeOf(await signToken(first, {}, { kid: "a" }), remote)).toBe("tester");
    expect(await codeOf(await signToken(second, {}, { kid: "b" }), remote)).toBe("tester");
    // No kid: each key of the kind is tried.
    expect(await codeOf(await signToken(second, { n: 2 }), remote)).toBe("tester");
    expect(await codeOf(await signToken(makeSigner("ES256"), {}, { kid: "c" }), remote)).toBe("unauthenticated");
    expect(asked).toBe(1);
    await server.stop(true);
    const gone = make(jwt({ kind: "jwks_url", url: server.url.href }, asymmetric));
    expect(await codeOf(await signToken(first, {}, { kid: "a" }), gone)).toBe("unavailable");
  });

  test.each([
    ["a missing file", () => "/nowhere/key.pem", asymmetric],
    ["no key", () => folder.write("a.pem", "hello"), asymmetric],
    [
      "a private key",
      () => folder.write("b.pem", signer.privateKey.export({ type: "pkcs8", format: "pem" })),
      asymmetric,
    ],
    ["a key of another algorithm", () => folder.write("c.pem", publicPem(signer)), ["ES256"] as const],
    [
      "a garbled key",
      () => folder.write("d.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
      asymmetric,
    ],
  ])("%s is refused at the start, with the file's name", (_, path, algorithms) => {
    const file = path();
    expect(() => make(jwt({ kind: "public_key", path: file }, algorithms))).toThrow(file);
  });
});

/** Attacks, each a token that looks right but for one thing. */
const attacks: readonly (readonly [string, () => string | Promise<string>])[] = [
  ["no token", () => ""],
  ["garbage", () => "garbage"],
  ["three dots", () => "..."],
  ["binary", () => "\u0000\u0001.\u00ff.x"],
  ["alg none", () => rawToken({ alg: "none" }, fullClaims())],
  ["alg None", () => rawToken({ alg: "None", typ: "JWT" }, fullClaims(), "AAAA")],
  ["no alg", () => rawToken({ typ: "JWT" }, fullClaims(), "AAAA")],
  ["HS256 signed with the public key as PEM", () => signWithSecret(publicPem(signer))],
  [
    "HS256 signed with the public key as DER",
    () => signWithSecret(Uint8Array.from(signer.publicKey.export({ type: "spki", format: "der" }))),
  ],
  [
    "RS256 in the header, HMAC with the public key underneath",
    () => {
      const unsigned = rawToken({ alg: "RS256" }, fullClaims()).slice(0, -1);
      return `${unsigned}.${createHmac("sha256", publicPem(signer)).update(unsigned).digest("base64url")}`;
    },
  ],
  ["the key embedded as jwk", async () => embedded({ jwk: await publicJwk(attacker, "x") })],
  ["the key behind jku", () => embedded({ jku: "http://127.0.0.1:1/keys" })],
  ["the key behind x5u", () => embedded({ x5u: "http://127.0.0.1:1/cert" })],
  ["the key in x5c", () => embedded({ x5c: ["AAAA"] })],
  ["kid as a path", () => embedded({ kid: "../../dev/null" })],
  [
    "an unknown critical header, under a right signature",
    () => signedByHand({ alg: "RS256", crit: ["exp"], exp: inSeconds(60) }),
  ],
  ["another issuer", () => signToken(signer, { iss: "https://other.example" })],
  ["no issuer", () => signToken(signer, { iss: undefined })],
  ["issuer as a list", () => signToken(signer, { iss: [issuer] })],
  ["another audience", () => signToken(signer, { aud: "other" })],
  ["no audience", () => signToken(signer, { aud: undefined })],
  ["no expiry", () => signToken(signer, { exp: undefined })],
  ["expiry as text", () => signToken(signer, { exp: String(inSeconds(60)) })],
  ["not valid yet", () => signToken(signer, { nbf: inSeconds(60) })],
  ["oversized", () => signToken(signer, { padding: "x".repeat(9000) })],
  ["another key", () => signToken(makeSigner("RS256"))],
  [
    "a signature of another token",
    async () => swapSignature(await signToken(signer), await signToken(signer, { n: 1 })),
  ],
  ["no signature", async () => (await signToken(signer)).replace(/[^.]*$/, "")],
  ["no client_id", () => signToken(signer, { client_id: undefined })],
  ["client_id as a number", () => signToken(signer, { client_id: 7 })],
  ["an empty client_id", () => signToken(signer, { client_id: "" })],
  ["an endless client_id", () => signToken(signer, { client_id: "x".repeat(256) })],
  ["allowed_subjects as text", () => signToken(signer, { allowed_subjects: ">" })],
  ["allowed_subjects with a number", () => signToken(signer, { allowed_subjects: ["a", 1] })],
  ["allowed_subjects with no filter", () => signToken(signer, { allowed_subjects: ["a..b"] })],
  ["allowed_subjects with a wildcard inside a word", () => signToken(signer, { allowed_subjects: ["a*"] })],
  ["deny_subjects as text", () => signToken(signer, { deny_subjects: "a" })],
  ["deny_subjects with no filter", () => signToken(signer, { deny_subjects: ["a.>.b"] })],
  ["permissions as text", () => signToken(signer, { permissions: "*" })],
  ["permissions as a map", () => signToken(signer, { permissions: { "*": true } })],
  ["admin as text", () => signToken(signer, { admin: "true" })],
];

const attacker = makeSigner("RS256");
const embedded = (header: Readonly<Record<string, unknown>>): Promise<string> => signToken(attacker, {}, header);
/** A right signature under whatever header, which `jose` would not make. */
const signedByHand = (header: unknown): string => {
  const unsigned = rawToken(header, fullClaims()).slice(0, -1);
  return `${unsigned}.${signBytes("sha256", Buffer.from(unsigned), signer.privateKey).toString("base64url")}`;
};
const swapSignature = (token: string, other: string): string =>
  token.replace(/[^.]*$/, other.slice(other.lastIndexOf(".") + 1));

describe("attacks", () => {
  test.each(attacks)("%s is refused, and nothing of the token comes back", async (_, make) => {
    const token = await make();
    const outcome = await outcomeOf(token);
    if (!(outcome instanceof StreamError)) throw new Error("let in");
    expect(outcome.code).toBe("unauthenticated");
    const said = JSON.stringify([outcome.message, outcome.fields, lines.at(-1)]);
    for (const part of token.split(".").filter((text) => text.length > 8)) expect(said).not.toContain(part);
    expect(said).not.toContain("other.example");
    expect(lines.at(-1)).toMatchObject({ event: "audit", verb: "authenticate", outcome: "unauthenticated" });
  });

  test("expired is told apart, but only when the signature is right", async () => {
    expect(await codeOf(await signToken(signer, { exp: inSeconds(-1) }))).toBe("token_expired");
    expect(await codeOf(await signToken(signer, { exp: inSeconds(-3600) }))).toBe("token_expired");
    expect(await codeOf(await signToken(attacker, { exp: inSeconds(-3600) }))).toBe("unauthenticated");
  });

  test("an issuer whose clock is a little ahead is borne with", async () => {
    expect(await codeOf(await signToken(signer, { nbf: inSeconds(2), iat: inSeconds(2) }))).toBe("tester");
  });

  test("a token signed by hand is right when its header is", async () => {
    expect(await codeOf(signedByHand({ alg: "RS256" }))).toBe("tester");
  });

  test("any typ, several audiences, unknown claims and permissions are fine", async () => {
    expect(await codeOf(await signToken(signer, { aud: ["x", audience], groups: ["a"] }, { typ: "at+jwt" }))).toBe(
      "tester",
    );
    expect(await codeOf(await signToken(signer, { permissions: ["fly", "fetch"] }))).toBe("tester");
  });
});

describe("what is remembered", () => {
  test("a token that was checked is answered at once, with the same principal", async () => {
    const token = await signToken(signer, { n: "remembered" });
    const first = await authenticator.authenticate(token);
    const second = authenticator.authenticate(token);
    expect(second).toBe(first);
    expect(first.expiresAt).toBeGreaterThan(Date.now());
  });

  test("a burst of one token is checked once, and one line tells of it", async () => {
    const token = await signToken(signer, { client_id: "burst" });
    const principals = await Promise.all(Array.from({ length: 50 }, async () => authenticator.authenticate(token)));
    expect(new Set(principals).size).toBe(1);
    expect(lines.filter(({ client }) => client === "burst")).toHaveLength(1);
  });

  test("it is checked again after a while, and refused when its key is gone or its time is over", async () => {
    const own = makeSigner();
    let nowMs = Date.now();
    const path = folder.write("changing.json", JSON.stringify({ keys: [await publicJwk(own, "k")] }));
    const changing = make(jwt({ kind: "jwks_file", path }, asymmetric), { clock: () => nowMs });
    const token = await signToken(own, {}, { kid: "k" });
    const principal = await changing.authenticate(token);
    nowMs += 61_000;
    expect(await changing.authenticate(token)).toBe(principal);
    folder.write("changing.json", JSON.stringify({ keys: [] }));
    expect(await codeOf(token, changing)).toBe("tester");
    nowMs += 61_000;
    expect(await codeOf(token, changing)).toBe("unauthenticated");
    folder.write("changing.json", JSON.stringify({ keys: [await publicJwk(own, "k")] }));
    nowMs += 2 * 3_600_000;
    expect(await codeOf(token, changing)).toBe("token_expired");
  });

  test("more tokens than are remembered do not hurt", async () => {
    const own = makeSigner();
    const many = forSigner(own);
    const tokens = await Promise.all(Array.from({ length: 4200 }, (_, n) => signToken(own, { n })));
    for (const token of tokens) await many.authenticate(token);
    expect(many.authenticate(tokens.at(-1) ?? "")).not.toBeInstanceOf(Promise);
    expect(many.authenticate(tokens[0] ?? "")).toBeInstanceOf(Promise);
  });
});

test("without authentication everybody is anonymous, on the stream itself", async () => {
  const open = make({ kind: "none" });
  expect(open.anonymous?.broker).toBe(noBroker);
  expect(open.anonymous?.clientId).toBe("anonymous");
  expect(await open.authenticate("anything")).toBe(open.anonymous as Principal);
});

test("being refused fills no disk", async () => {
  const told: string[] = [];
  const count = (event: string) => told.push(event);
  const refusing = forSigner(signer, { log: { info: count, warn: count }, clock: () => 1_000_000 });
  for (let n = 0; n < 500; n++) await codeOf(`garbage.${n}.x`, refusing);
  expect(told).toHaveLength(50);
});
