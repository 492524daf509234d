/**
 * A self-signed certificate, made when it is asked for: for servers of tests that speak TLS. No key lies in the
 * repository, and no other program is needed.
 * @module
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";

/** Both in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** One element of DER: its tag, its length, what is in it. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const lengthBytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes), content]);
};
const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(0x30, ...parts);
const bits = (content: Uint8Array): Uint8Array => der(0x03, Uint8Array.of(0), content);
const oid = (...bytes: readonly number[]): Uint8Array => der(0x06, Uint8Array.from(bytes));

/** `20261121142500Z` */
const time = (ms: number): Uint8Array =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`));

const dayMs = 24 * 60 * 60 * 1000;
const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const commonName = oid(0x55, 0x04, 0x03);
const subjectAltName = oid(0x55, 0x1d, 0x11);
const basicConstraints = oid(0x55, 0x1d, 0x13);
const isAuthority = der(0x04, sequence(der(0x01, Uint8Array.of(0xff))));

/** A certificate for these names and IPv4 addresses, valid for a day, which is its own authority. RFC 5280. */
export const selfSigned = (names: readonly string[], addresses: readonly string[] = []): Certificate => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicDer = publicKey.export({ type: "spki", format: "der" });
  const serial = createHash("sha256").update(publicDer).digest().subarray(0, 16);
  // A positive number that needs no padding.
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const name = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from("self-signed for tests")))));
  const alternatives = sequence(
    ...names.map((text) => der(0x82, Buffer.from(text))),
    ...addresses.map((address) => der(0x87, Uint8Array.from(address.split("."), Number))),
  );
  const nowMs = Date.now();
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serial),
    ecdsaWithSha256,
    name,
    sequence(time(nowMs - dayMs), time(nowMs + dayMs)),
    name,
    publicDer,
    der(
      0xa3,
      sequence(
        sequence(subjectAltName, der(0x04, alternatives)),
        sequence(basicConstraints, der(0x01, Uint8Array.of(0xff)), isAuthority),
      ),
    ),
  );
  const whole = sequence(body, ecdsaWithSha256, bits(sign("sha256", body, privateKey)));
  const lines =
    Buffer.from(whole)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
};
