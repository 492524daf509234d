/**
 * Tokens as an issuer makes them, and as an attacker would like to: signed by hand, so that every header, claim and
 * signature can be wrong, and independent of the library that the server checks them with.
 * @module
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const issuer = "https://issuer.test";
export const audience = "minitoolstream";

/** A JSON object of a token. */
export type Part = Readonly<Record<string, unknown>>;

/** What a token grants; names as in its claims. */
export interface Grants {
  readonly client_id?: string;
  readonly allowed_subjects?: readonly string[];
  readonly deny_subjects?: readonly string[];
  readonly permissions?: readonly string[];
  readonly admin?: boolean;
}

/** base64url of JSON, or of bytes. */
export const encodePart = (part: Part | Uint8Array): string =>
  (part instanceof Uint8Array ? Buffer.from(part) : Buffer.from(JSON.stringify(part))).toString("base64url");

/** `HEADER.PAYLOAD.SIGNATURE`, with whatever signature is given. */
export const compact = (header: Part, claims: Part, signature: (input: string) => Uint8Array): string => {
  const input = `${encodePart(header)}.${encodePart(claims)}`;
  return `${input}.${encodePart(signature(input))}`;
};

/** Signed with a key of curve P-256. */
export const es256 =
  (key: KeyObject) =>
  (input: string): Uint8Array =>
    sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });

/** "Signed" with a secret. */
export const hs256 =
  (secret: string | Uint8Array) =>
  (input: string): Uint8Array =>
    createHmac("sha256", secret).update(input).digest();

/** Seconds since 1970, `seconds` from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** An issuer whose public key lies in a file, and the settings of a server that believes it. */
export class TestIssuer {
  readonly privateKey: KeyObject;
  /** PEM, as the server has it. */
  readonly publicKey: string;
  readonly #folder: string;

  private constructor(privateKey: KeyObject, publicKey: string, folder: string) {
    this.privateKey = privateKey;
    this.publicKey = publicKey;
    this.#folder = folder;
  }

  static async create(): Promise<TestIssuer> {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = publicKey.export({ type: "spki", format: "pem" });
    const folder = await mkdtemp(join(tmpdir(), "mts-issuer-"));
    await writeFile(join(folder, "public.pem"), pem);
    return new TestIssuer(privateKey, pem, folder);
  }

  /** Settings of a server with authentication. */
  get env(): Readonly<Record<string, string>> {
    return {
      MTS_AUTH: "jwt",
      MTS_AUTH_ISSUER: issuer,
      MTS_AUTH_AUDIENCE: audience,
      MTS_AUTH_PUBLIC_KEY: join(this.#folder, "public.pem"),
    };
  }

  /** The claims of a valid token, which can be changed or (with undefined) left out. */
  claims(grants: Grants, changed: Part = {}): Part {
    return { iss: issuer, aud: audience, exp: inSeconds(600), client_id: "tester", ...grants, ...changed };
  }

  /** A valid token, unless what is changed makes it another one. */
  token(grants: Grants, changed: Part = {}, header: Part = {}): string {
    return compact({ alg: "ES256", typ: "JWT", ...header }, this.claims(grants, changed), es256(this.privateKey));
  }

  /** Everything, as an administrator. */
  admin(changed: Part = {}): string {
    return this.token({ client_id: "root", allowed_subjects: [">"], permissions: ["*"], admin: true }, changed);
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
