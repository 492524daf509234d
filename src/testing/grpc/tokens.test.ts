/**
 * Tokens as clients of the original send them: `authorization: Bearer …` in the metadata. In the original two calls
 * asked for none and one checked no permission; here every call of every service is tried.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { SignJWT } from "jose";
import { uniqueSubject, useTestServer } from "../server.ts";
import { expectGrpcError } from "./context.ts";
import { type ForeignChannel, ForeignClient } from "./foreign-client.ts";
import { type CallOptions, type Language } from "./foreign-shapes.ts";

setDefaultTimeout(30_000);

const secret = "a secret of the tests that is long enough for HS256";
const issuer = "tests";
const audience = "minitoolstream";
const server = useTestServer({
  env: { MTS_AUTH: "jwt", MTS_AUTH_SECRET: secret, MTS_AUTH_ISSUER: issuer, MTS_AUTH_AUDIENCE: audience },
});

interface Claims {
  readonly subjects: readonly string[];
  readonly permissions: readonly string[];
  readonly expiresInSeconds?: number;
  readonly issuer?: string;
}

const bearer = async (claims: Claims): Promise<CallOptions> => {
  const token = await new SignJWT({
    client_id: "tests",
    allowed_subjects: claims.subjects,
    permissions: claims.permissions,
  })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(claims.issuer ?? issuer)
    .setAudience(audience)
    .setExpirationTime(Math.floor(Date.now() / 1000) + (claims.expiresInSeconds ?? 3600))
    .sign(Buffer.from(secret));
  return { metadata: { authorization: `Bearer ${token}` } };
};

/** Every call of the original's services. A stream rejects with the status that it ends with. */
const calls = {
  Publish: (channel, subject, options) => channel.publish({ subject, body: "x", ...options }),
  GetLastSequence: (channel, subject, options) => channel.lastSequence(subject, options),
  Fetch: (channel, subject, options) => channel.fetch({ subject, durable: "d" }, options),
  AckMessage: (channel, subject, options) => channel.ack({ subject, durable: "d" }, 1, options),
  Subscribe: async (channel, subject, options) => {
    // A durable that has acknowledged nothing is told at once.
    const stream = await channel.subscribe({ subject, durable: "subscriber" }, options);
    await stream.reached(1);
    await stream.cancel();
  },
} as const satisfies Record<
  string,
  (channel: ForeignChannel, subject: string, options: CallOptions) => Promise<unknown>
>;
const verbs = Object.entries(calls);

describe.each(["Go", "Python"] as const)("%s with tokens", (language: Language) => {
  let client: ForeignClient;
  let channel: ForeignChannel;
  beforeAll(async () => {
    client = await ForeignClient.start(language, "later");
    channel = await client.open(server().grpcTarget);
  }, 300_000);
  afterAll(() => client[Symbol.asyncDispose]());

  test("what is granted works", async () => {
    const subject = uniqueSubject("granted");
    const options = await bearer({ subjects: ["granted.>"], permissions: ["publish", "subscribe", "fetch"] });
    for (const [, call] of verbs) await call(channel, subject, options);
    expect(await channel.lastSequence(subject, options)).toBe(1);
  });

  test.each(verbs)("%s asks for a token", async (_, call) => {
    const subject = uniqueSubject("granted");
    const all = await bearer({ subjects: ["*"], permissions: ["*"] });
    await channel.publish({ subject, body: "x", ...all });
    await expectGrpcError(call(channel, subject, {}), "UNAUTHENTICATED", "unauthenticated");
    for (const authorization of ["", "Bearer", "Bearer x.y.z", `Basic ${secret}`]) {
      await expectGrpcError(
        call(channel, subject, { metadata: { authorization } }),
        "UNAUTHENTICATED",
        "unauthenticated",
      );
    }
    const foreign = await bearer({ subjects: ["*"], permissions: ["*"], issuer: "somebody else" });
    await expectGrpcError(call(channel, subject, foreign), "UNAUTHENTICATED", "unauthenticated");
    const old = await bearer({ subjects: ["*"], permissions: ["*"], expiresInSeconds: -3600 });
    await expectGrpcError(call(channel, subject, old), "UNAUTHENTICATED", "token_expired");
    // Nobody moved anything.
    expect(await channel.lastSequence(subject, all)).toBe(1);
    expect((await channel.fetch({ subject, durable: "d" }, all)).messages).toHaveLength(1);
  });

  test.each(verbs)("%s is for the granted subjects, and for who may", async (_, call) => {
    const subject = uniqueSubject("granted");
    const all = await bearer({ subjects: ["*"], permissions: ["*"] });
    await channel.publish({ subject, body: "x", ...all });
    for (const claims of [
      { subjects: ["other.>"], permissions: ["*"] },
      { subjects: [], permissions: ["*"] },
      { subjects: ["granted.>"], permissions: [] },
    ]) {
      await expectGrpcError(call(channel, subject, await bearer(claims)), "PERMISSION_DENIED", "permission_denied");
    }
    expect(await channel.lastSequence(subject, all)).toBe(1);
    expect((await channel.fetch({ subject, durable: "d" }, all)).messages).toHaveLength(1);
  });

  test("a Subscribe ends when its token does", async () => {
    const subject = uniqueSubject("granted");
    const options = await bearer({ subjects: ["*"], permissions: ["*"], expiresInSeconds: 2 });
    const stream = await channel.subscribe({ subject, durable: "d" }, options);
    const end = await stream.ended();
    expect([end.code, end.trailers["mts-code"]]).toEqual(["UNAUTHENTICATED", "token_expired"]);
  });
});
