/**
 * Publishing: sequences, headers, bodies, message ids, expected sequences, batches.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Draft } from "../client.ts";
import {
  expectBytes,
  expectClientError,
  expectError,
  expectReceipt,
  sequencesOf,
  someBytes,
  textsOf,
  upTo,
} from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const bodies: readonly (readonly [name: string, body: Uint8Array])[] = [
  ["empty", new Uint8Array()],
  ["one byte", Uint8Array.of(0)],
  ["text", utf8("Привет, мир ☃ 𝄞")],
  ["text with a byte order mark", Uint8Array.of(0xef, 0xbb, 0xbf, ...utf8("after the mark"))],
  ["text with control characters", utf8('\u0000\u0007\u001f"\\\n\r\n\u007f\u2028')],
  ["every byte", Uint8Array.from({ length: 256 }, (_, byte) => byte)],
  ["UTF-8 cut short", utf8("Ж").slice(0, 1)],
  ["a surrogate in UTF-8", Uint8Array.of(0xed, 0xa0, 0x80)],
  ...[255, 65_535, 65_536, 256 * KiB - 1, 256 * KiB, 256 * KiB + 1, MiB, 5 * MiB + 3].map(
    (length) => [`${length} bytes`, someBytes(length, length)] as const,
  ),
];

const defineBodies = (context: CaseContext): void => {
  test.each(bodies.map((row) => [...row] as [string, Uint8Array]))(
    "body comes back byte for byte: %s",
    async (_, body) => {
      const subject = uniqueSubject("body");
      const client = context.client();
      await client.publish({ subject, body });
      await client.publish({ subject, body: "next" });
      const page = await client.read(subject, { limit: 1 });
      expect(sequencesOf(page.messages)).toEqual([1]);
      expectBytes(page.messages[0]?.body, body);
      expectBytes(await context.admin().message(subject, 1), body);
    },
  );
};

const defineHeaders = (context: CaseContext): void => {
  const tables: readonly Record<string, string>[] = [
    {},
    { "content-type": "text/plain; charset=utf-8", trace: "abc-1", empty: "" },
    { имя: "значение ☃ 𝄞", "Mixed-Case": "Kept", " spaced ": "  around  ", "a b": "c" },
    {
      control: "tab\tnewline\nreturn\r\nnul\u0000",
      __proto__x: "1",
      constructor: "x",
      toString: "y",
      hasOwnProperty: "z",
    },
    JSON.parse('{"__proto__": "own", "x": "1"}') as Record<string, string>,
    { "data-size": "not the size", sequence: "99", subject: "other" },
  ];
  test.each(tables.map((headers, index) => [index, headers] as [number, Record<string, string>]))(
    "headers are kept as given (%d)",
    async (_, headers) => {
      const subject = uniqueSubject("headers");
      await context.client().publish({ subject, body: "x", headers });
      const page = await context.client().read(subject);
      expect(Object.entries(page.messages[0]?.headers ?? {}).sort()).toEqual(Object.entries(headers).sort());
    },
  );
};

const defineIds = (context: CaseContext): void => {
  test("a repeated message id answers the first receipt and stores nothing", async () => {
    const subject = uniqueSubject("id");
    const client = context.client();
    const first = await client.publish({ subject, body: "first", messageId: "a" });
    expect(first).toMatchObject({ subject, sequence: 1, duplicate: false });
    await client.publish({ subject, body: "between" });
    const again = await client.publish({ subject, body: "another body", messageId: "a" });
    expect(again).toEqual({ ...first, duplicate: true });
    const page = await client.read(subject);
    expect(textsOf(page.messages)).toEqual(["first", "between"]);
  });

  test("message ids belong to their subject", async () => {
    const [one, two] = [uniqueSubject("id"), uniqueSubject("id")];
    await context.client().publish({ subject: one, body: "x", messageId: "same" });
    const other = await context.client().publish({ subject: two, body: "x", messageId: "same" });
    expect(other).toMatchObject({ sequence: 1, duplicate: false });
  });

  test("message ids and idempotency keys are one namespace", async () => {
    const subject = uniqueSubject("id");
    const first = await context.client().publish({ subject, body: "x", messageId: "ключ-1" });
    const again = await context.admin().publish({ subject, body: "x", messageId: "ключ-1" });
    expect(again).toEqual({ ...first, duplicate: true });
  });

  test("a duplicate is answered before the expected last sequence is looked at", async () => {
    const subject = uniqueSubject("id");
    const client = context.client();
    const draft: Draft = { subject, body: "x", messageId: "once", expectedLastSequence: 0 };
    await client.publish(draft);
    await client.publish({ subject, body: "y" });
    expect(await client.publish(draft)).toMatchObject({ sequence: 1, duplicate: true });
    const wrong = await expectError(client.publish({ ...draft, messageId: "other" }), "wrong_last_sequence");
    expect(wrong.fields["last_sequence"]).toBe(2);
  });

  test("concurrent publishes with one message id store one message", async () => {
    const subject = uniqueSubject("id");
    const clients = await Promise.all([context.open(), context.open(), context.open()]);
    const receipts = await Promise.all(
      clients.flatMap((client) => upTo(5).map(() => client.publish({ subject, body: "x", messageId: "race" }))),
    );
    expect(receipts.filter((receipt) => !receipt.duplicate)).toHaveLength(1);
    expect(new Set(receipts.map((receipt) => `${receipt.sequence} ${receipt.timestampMs}`)).size).toBe(1);
    expect((await context.client().read(subject)).lastSequence).toBe(1);
  });

  test("message ids have 1 to 128 bytes", async () => {
    const subject = uniqueSubject("id");
    const client = context.client();
    for (const messageId of ["", "x".repeat(129), "Ж".repeat(65)]) {
      await expectError(client.publish({ subject, body: "x", messageId }), "invalid_message_id");
    }
    for (const messageId of ["x".repeat(128), "Ж".repeat(64), "1"])
      await client.publish({ subject, body: "x", messageId });
    expect((await client.read(subject)).lastSequence).toBe(3);
  });
};

const defineExpectations = (context: CaseContext): void => {
  test("expected_last_sequence lets exactly the right publish through", async () => {
    const subject = uniqueSubject("cas");
    const client = context.client();
    expect(await client.publish({ subject, body: "1", expectedLastSequence: 0 })).toMatchObject({ sequence: 1 });
    for (const expectedLastSequence of [0, 2, 2 ** 31 - 1]) {
      const error = await expectError(
        client.publish({ subject, body: "no", expectedLastSequence }),
        "wrong_last_sequence",
      );
      expect(error.fields["last_sequence"]).toBe(1);
      expect(error.retryable).toBe(false);
    }
    expect(await client.publish({ subject, body: "2", expectedLastSequence: 1 })).toMatchObject({ sequence: 2 });
    expect(textsOf((await client.read(subject)).messages)).toEqual(["1", "2"]);
  });

  test("of many that expect the same last sequence one wins", async () => {
    const subject = uniqueSubject("cas");
    const clients = await Promise.all([context.open(), context.open(), context.open(), context.open()]);
    const outcomes = await Promise.allSettled(
      clients.map((client, index) => client.publish({ subject, body: `${index}`, expectedLastSequence: 0 })),
    );
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
    expect((await context.client().read(subject)).lastSequence).toBe(1);
  });
};

const defineBatches = (context: CaseContext): void => {
  test("a batch answers every entry in its order and refuses only what is wrong", async () => {
    const [subject, other] = [uniqueSubject("batch"), uniqueSubject("batch")];
    const results = await context.client().publishBatch([
      { subject, body: "1", messageId: "m" },
      { subject: "no spaces", body: "x" },
      { subject: other, body: "o1" },
      { subject, body: "x", expectedLastSequence: 7 },
      { subject, body: "x", messageId: "m" },
      { subject, body: "2", expectedLastSequence: 1 },
      { subject, body: "x", messageId: "x".repeat(200) },
      { subject: other, body: "o2" },
    ]);
    expect(expectReceipt(results[0])).toMatchObject({ subject, sequence: 1, duplicate: false });
    expectClientError(results[1], "invalid_subject");
    expect(expectReceipt(results[2])).toMatchObject({ subject: other, sequence: 1 });
    expect(expectClientError(results[3], "wrong_last_sequence").fields["last_sequence"]).toBe(1);
    expect(expectReceipt(results[4])).toMatchObject({ sequence: 1, duplicate: true });
    expect(expectReceipt(results[5])).toMatchObject({ subject, sequence: 2, duplicate: false });
    expectClientError(results[6], "invalid_message_id");
    expect(expectReceipt(results[7])).toMatchObject({ subject: other, sequence: 2 });
    expect(textsOf((await context.client().read(subject)).messages)).toEqual(["1", "2"]);
    expect(textsOf((await context.client().read(other)).messages)).toEqual(["o1", "o2"]);
  });

  test("a batch mixes empty, small, binary and large bodies", async () => {
    const subject = uniqueSubject("batch");
    const sent = [0, 1, 300 * KiB, 10, 256 * KiB, 700 * KiB, 2].map((length, index) => someBytes(length, index + 1));
    const results = await context.client().publishBatch(sent.map((body) => ({ subject, body })));
    expect(results.map((result) => expectReceipt(result).sequence)).toEqual(upTo(sent.length));
    const page = await context.client().read(subject);
    for (const [index, body] of sent.entries()) expectBytes(page.messages[index]?.body, body);
  });

  test("10,000 messages are a batch, 10,001 are none and store nothing", async () => {
    const subject = uniqueSubject("batch");
    const drafts = upTo(10_001).map((index): Draft => ({ subject, body: `${index}` }));
    await expectError(context.client().publishBatch(drafts), "too_many_messages");
    expect((await context.client().read(subject)).lastSequence).toBe(0);
    const results = await context.client().publishBatch(drafts.slice(0, 10_000));
    expect(results.map((result) => expectReceipt(result).sequence)).toEqual(upTo(10_000));
    const page = await context.client().read(subject, { limit: 10_000 });
    expect(textsOf(page.messages)).toEqual(upTo(10_000).map(String));
  });
};

/** The group. */
export const definePublishing = (context: CaseContext): void => {
  describe("publishing", () => {
    test("sequences are dense from 1 and timestamps never decrease", async () => {
      const subject = uniqueSubject("dense");
      const receipts = [];
      for (const index of upTo(20)) receipts.push(await context.client().publish({ subject, body: `${index}` }));
      expect(receipts.map((receipt) => receipt.sequence)).toEqual(upTo(20));
      expect(receipts.every((receipt) => receipt.subject === subject && !receipt.duplicate)).toBe(true);
      const times = receipts.map((receipt) => receipt.timestampMs);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      const page = await context.client().read(subject);
      expect(page.messages.map((message) => message.timestampMs)).toEqual(times);
      expect(textsOf(page.messages)).toEqual(upTo(20).map(String));
    });

    test("subjects number their messages independently", async () => {
      const [one, two] = [uniqueSubject("dense"), uniqueSubject("dense")];
      await context.client().publish({ subject: one, body: "x" });
      await context.client().publish({ subject: one, body: "x" });
      expect(await context.client().publish({ subject: two, body: "x" })).toMatchObject({ sequence: 1 });
    });

    defineBodies(context);
    defineHeaders(context);
    defineIds(context);
    defineExpectations(context);
    defineBatches(context);
  });
};
