/**
 * Reads of the S3 driver while things go wrong: half answers, wrong bytes, errors that pass, a silent server.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Envelope } from "../../core/message.ts";
import type { S3Fault } from "../../testing/s3-proxy.ts";
import { asked, codeOf, isGet, useS3 } from "../../testing/s3-store.ts";
import { chunksOf, collect, expectBytes, patternBytes, rejectionOf, writeBodies, writeLarge } from "../cases.ts";
import { isBodyFault } from "../contract.ts";
import { VerifiedBodies } from "../verified.ts";

const MiB = 1024 * 1024;
const s3 = useS3();

const envelopeOf = (body: Envelope["body"]): Envelope => ({
  subject: "a" as Envelope["subject"],
  sequence: 1,
  timestampMs: 0,
  headers: {},
  body,
});

describe("reading while things go wrong", () => {
  const passing: readonly (readonly [string, S3Fault, number])[] = [
    ["half an answer, twice", { kind: "half body" }, 2],
    ["no answer", { kind: "reply lost" }, 1],
    ["SlowDown", { kind: "answer", status: 503, code: "SlowDown" }, 2],
  ];
  test.each(passing)("%s", async (_, fault, times) => {
    const { store, proxy } = await s3.behindProxy();
    const body = patternBytes(100_000, 1);
    const refs = await writeBodies(store, [body]);
    const large = patternBytes(3 * MiB, 2);
    const ref = await writeLarge(store, chunksOf([large]));
    proxy.inject(fault, times, isGet);
    expectBytes((await store.read(refs))[0], body);
    proxy.inject(fault, times, isGet);
    expectBytes(await collect(store.stream(ref)), large);
  });

  test("a wrong byte is read again before it is called a loss, and a loss is gone with the next read", async () => {
    const { store, proxy } = await s3.behindProxy();
    const body = patternBytes(1000, 1);
    const [ref] = await writeBodies(store, [body]);
    if (ref === undefined) throw new Error("There is one.");
    const verified = new VerifiedBodies(store);
    proxy.inject({ kind: "wrong byte" }, 1, isGet);
    expectBytes((await verified.read([envelopeOf(ref)]))[0], body);
    proxy.inject({ kind: "wrong byte" }, 2, isGet);
    expect(codeOf((await verified.read([envelopeOf(ref)]))[0])).toBe("data_loss");
    expectBytes((await verified.read([envelopeOf(ref)]))[0], body);
  });

  test("a bucket or a right that is missing is no missing body", async () => {
    const { store, proxy } = await s3.behindProxy();
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    for (const [status, code] of [
      [404, "NoSuchBucket"],
      [403, "AccessDenied"],
      [404, ""],
    ] as const) {
      proxy.inject({ kind: "answer", status, code }, 2, isGet);
      const [result] = await store.read([ref]);
      expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("failed");
      expect(codeOf(await rejectionOf(collect(store.stream(ref))))).toBe("unavailable");
    }
  });

  test("a server that is silent: failed when the time is over, and fine when it is back", async () => {
    const { store, proxy } = await s3.behindWire({ deadlineMs: 3000 });
    const body = patternBytes(1000, 1);
    const [ref] = await writeBodies(store, [body]);
    if (ref === undefined) throw new Error("There is one.");
    proxy.pause();
    const [result] = await store.read([ref]);
    expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("failed");
    expect(codeOf(await rejectionOf(collect(store.stream(ref))))).toBe("unavailable");
    proxy.resume();
    expectBytes((await store.read([ref]))[0], body);
  });

  test("names that lead elsewhere are no objects", async () => {
    const { store, proxy } = await s3.behindProxy();
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    for (const object of ["s/../../other/s/1", "..", "s/./1", "s/1\n", "x".repeat(1025)]) {
      const [result] = await store.read([{ ...ref, object }]);
      expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("missing");
    }
    expect(asked(proxy).filter(isGet)).toEqual([]);
    // Other programs' names are asked for as they are, encoded: nothing in them is taken for a query.
    for (const object of ["s/1?a=1", "S/1", "заказ 1"]) {
      const [result] = await store.read([{ ...ref, object }]);
      expect(result !== undefined && isBodyFault(result) ? result.fault : "none").toBe("missing");
    }
    expect(asked(proxy).filter(isGet)).toHaveLength(3);
  });
});
