import { describe, expect, test } from "bun:test";
import { BodyPool } from "./bodies.ts";
import { DeliveryCheck, laneEnds, noViolations } from "./delivery-check.ts";
import type { LaneResult } from "./lane.ts";
import { receiptMix } from "./plan.ts";

const pool = new BodyPool(7, 1, 64, 64);
const subjects = ["load.0", "load.1", "load.2"];
const lanes = 2;

interface Sent {
  readonly lane: number;
  readonly number: number;
  readonly subject: string;
  readonly sequence: number;
}

/** Messages of two lanes over three subjects, as a server that does everything right would number them. */
const published = (each: number): Sent[] => {
  const last = new Map<string, number>();
  const sent: Sent[] = [];
  for (let number = 0; number < each; number++) {
    for (let lane = 0; lane < lanes; lane++) {
      const subject = subjects[(number + lane) % subjects.length]!;
      const sequence = (last.get(subject) ?? 0) + 1;
      last.set(subject, sequence);
      sent.push({ lane, number, subject, sequence });
    }
  }
  return sent;
};

const resultsOf = (sent: readonly Sent[], each: number): LaneResult[] =>
  [0, 1].map((lane) => ({
    lane,
    sent: each,
    notAcked: [],
    receipts: sent
      .filter((message) => message.lane === lane)
      .reduce((sum, { number, sequence }) => (sum + receiptMix(number, sequence)) | 0, 0),
  }));

const newCheck = (): DeliveryCheck => new DeliveryCheck(subjects, lanes, pool, [1, 1, 1]);

const deliver = (
  check: DeliveryCheck,
  { lane, number, subject, sequence }: Sent,
  change: (body: Buffer) => void = () => undefined,
  timestampMs = 1000,
): void => {
  const bytes = Buffer.alloc(200);
  const subjectEnd = bytes.write(subject);
  const end = pool.write(bytes, subjectEnd, lane, number, 42);
  change(bytes.subarray(subjectEnd, end));
  check.message(bytes, 0, subjectEnd, sequence, timestampMs, subjectEnd, end);
};

const each = 30;
const sent = published(each);
const ends = laneEnds(resultsOf(sent, each));

test("everything once and in order is good", () => {
  const check = newCheck();
  for (const message of sent) deliver(check, message);
  expect(check.outstanding(ends)).toBe(0);
  expect(check.unique).toBe(sent.length);
  expect(check.finish(ends)).toEqual(noViolations());
});

test("what is still to come is outstanding", () => {
  const check = newCheck();
  expect(check.outstanding(ends)).toBe(sent.length);
  for (const message of sent.slice(0, 25)) deliver(check, message);
  expect(check.outstanding(ends)).toBe(sent.length - 25);
});

describe("is noticed:", () => {
  test.each([0, 20, sent.length - 1])("a lost message (%d)", (dropped) => {
    const check = newCheck();
    for (const [i, message] of sent.entries()) if (i !== dropped) deliver(check, message);
    const violations = check.finish(ends);
    expect(violations.lost).toBe(1);
    // The last message of a subject leaves no gap behind it.
    expect(violations.sequence_gaps).toBe(dropped === sent.length - 1 ? 0 : 1);
  });

  test("a repeated message", () => {
    const check = newCheck();
    for (const [i, message] of sent.entries()) {
      deliver(check, message);
      if (i === 20) deliver(check, message);
    }
    expect(check.finish(ends)).toEqual({ ...noViolations(), repeated: 1 });
  });

  test("a message that was stored twice", () => {
    const check = newCheck();
    const twice = sent[20]!;
    for (const message of sent) {
      const later = message.subject === twice.subject && message.sequence > twice.sequence;
      deliver(check, later ? { ...message, sequence: message.sequence + 1 } : message);
      if (message === twice) deliver(check, { ...message, sequence: message.sequence + 1 });
    }
    const violations = check.finish(ends);
    expect(violations.repeated).toBe(1);
    expect(violations.sequence_gaps).toBe(0);
    // And every later receipt is another than what was delivered.
    expect(violations.wrong_receipts).toBe(2);
  });

  test("two messages of one subject that changed places", () => {
    const check = newCheck();
    const [first, second] = [sent[0]!, sent.find((m, i) => i > 0 && m.subject === sent[0]!.subject)!];
    const order = sent.map((message) => (message === first ? second : message === second ? first : message));
    for (const message of order) deliver(check, message);
    const violations = check.finish(ends);
    expect(violations.reordered).toBe(1);
    expect(violations.lost).toBe(0);
  });

  test("one publisher's messages that were numbered the wrong way round", () => {
    const check = newCheck();
    const ours = sent.filter(({ lane, subject }) => lane === 0 && subject === "load.0");
    const [first, second] = [ours[0]!, ours[1]!];
    for (const message of sent) {
      if (message === first) deliver(check, { ...second, sequence: first.sequence });
      else if (message === second) deliver(check, { ...first, sequence: second.sequence });
      else deliver(check, message);
    }
    expect(check.finish(ends)).toMatchObject({ reordered: 1, lost: 0, wrong_receipts: 1 });
  });

  test("a changed byte of the content, and of the header", () => {
    const content = newCheck();
    for (const [i, message] of sent.entries()) {
      deliver(content, message, (body) => {
        if (i === 9) body[50] = (body[50] ?? 0) ^ 1;
      });
    }
    expect(content.finish(ends)).toEqual({ ...noViolations(), corrupted: 1 });

    const header = newCheck();
    for (const [i, message] of sent.entries()) {
      deliver(header, message, (body) => {
        if (i === 9) body[9] = (body[9] ?? 0) ^ 1;
      });
    }
    // Whose message it was is not known any more.
    expect(header.finish(ends)).toEqual({ ...noViolations(), corrupted: 1, lost: 1 });
  });

  test("a message under another subject", () => {
    const check = newCheck();
    for (const [i, message] of sent.entries()) deliver(check, i === 9 ? { ...message, subject: "load.x" } : message);
    expect(check.finish(ends).corrupted).toBe(1);
  });

  test("a timestamp that goes back", () => {
    const check = newCheck();
    for (const [i, message] of sent.entries()) deliver(check, message, undefined, i === 30 ? 999 : 1000);
    expect(check.finish(ends)).toEqual({ ...noViolations(), timestamps_backwards: 1 });
  });

  test("a receipt with another sequence than the message has", () => {
    const check = newCheck();
    for (const message of sent) deliver(check, message);
    const [good, bad] = resultsOf(sent, each);
    expect(check.finish(laneEnds([good!, { ...bad!, receipts: bad!.receipts ^ 5 }])).wrong_receipts).toBe(1);
  });
});

test("what was refused need not come, and may", () => {
  const refused = 4;
  const kept = sent.filter(({ lane, number }) => !(lane === 1 && number === refused));
  const last = new Map<string, number>();
  const results = resultsOf(kept, each).map((result) =>
    result.lane === 1 ? { ...result, notAcked: [refused] } : result,
  );
  const without = newCheck();
  for (const message of kept) {
    const sequence = (last.get(message.subject) ?? 0) + 1;
    last.set(message.subject, sequence);
    deliver(without, { ...message, sequence });
  }
  // Lane 0's receipts were made from the sequences of the complete row.
  expect(without.finish(laneEnds(results))).toMatchObject({ lost: 0, sequence_gaps: 0, reordered: 0, repeated: 0 });
  const withIt = newCheck();
  for (const message of sent) deliver(withIt, message);
  expect(withIt.outstanding(laneEnds(results))).toBe(0);
  expect(withIt.finish(laneEnds(results))).toEqual(noViolations());
});

test("messages of others are counted, and only their sequences looked at", () => {
  const check = new DeliveryCheck(["a", "b"], 1, pool, [0, 5]);
  const foreign = (subject: string, sequence: number): void => {
    const bytes = Buffer.from(`${subject}whatever somebody published`);
    check.message(bytes, 0, 1, sequence, 1, 1, bytes.length);
  };
  foreign("a", 100);
  foreign("a", 101);
  foreign("b", 5);
  foreign("b", 7);
  expect(check.foreign).toBe(4);
  expect(check.finish(new Map())).toEqual({ ...noViolations(), sequence_gaps: 1 });
});
