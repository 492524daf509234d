/**
 * The live tail over `text/event-stream`.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { expectError, textsOf, upTo } from "../expectations.ts";
import { HttpClient, parseHttpJsonMessage, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { type SseEvent, SseStream } from "../sse.ts";

const tailUrl = (server: TestServer, subject: string, query = ""): string =>
  `${server.url}${subjectPath(subject)}/messages${query}`;

/** Reads messages until there are so many; checks each `id`. */
const take = async (stream: SseStream, count: number): Promise<{ sequences: number[]; texts: string[] }> => {
  const taken: { sequences: number[]; texts: string[] } = { sequences: [], texts: [] };
  while (taken.sequences.length < count) {
    const event = await stream.nextEvent();
    if (event === undefined) throw new Error(`the stream ended after ${taken.sequences.length} messages`);
    const message = parseHttpJsonMessage(JSON.parse(event.data));
    expect([event.event, event.id]).toEqual(["message", String(message.sequence)]);
    taken.sequences.push(message.sequence);
    taken.texts.push(...textsOf([message]));
  }
  return taken;
};

const expectOpen = (event: SseEvent | undefined, epoch: string): void => {
  expect(event?.event).toBe("open");
  expect(event?.data).toContain(epoch);
};

/** The group. */
export const defineEvents = (server: () => TestServer): void => {
  describe("event stream", () => {
    const admin = (): HttpClient => new HttpClient(server().url);
    let idle: SseStream | undefined;

    // Opened early, so that the comment that is due within 15 s has most of its time while the other cases run.
    beforeAll(async () => {
      idle = await SseStream.open(tailUrl(server(), uniqueSubject("idle")));
    });
    afterAll(() => idle?.close());

    test("opens with the epoch and tails new messages by default", async () => {
      const subject = uniqueSubject("tail");
      await admin().publish({ subject, body: "old" });
      const { epoch } = await admin().read(subject);
      const stream = await SseStream.open(tailUrl(server(), subject));
      expectOpen(await stream.nextEvent(), epoch);
      for (const body of ["a", "line\nbreak\r\n", "ж"]) await admin().publish({ subject, body });
      expect(await take(stream, 3)).toEqual({ sequences: [2, 3, 4], texts: ["a", "line\nbreak\r\n", "ж"] });
      stream.close();
    });

    test("from, limit and Last-Event-ID choose what comes", async () => {
      const subject = uniqueSubject("tail");
      const { epoch } = await admin().read(subject);
      await admin().publishBatch(upTo(5).map((index) => ({ subject, body: `${index}` })));
      const rows: readonly (readonly [query: string, headers: Record<string, string>, sequences: number[]])[] = [
        ["?from=first&limit=2", {}, [1, 2]],
        ["?from=4&limit=2", {}, [4, 5]],
        ["?from=last&limit=1", {}, [5]],
        ["?limit=2", { "last-event-id": "3" }, [4, 5]],
        ["?from=first&limit=3", { "last-event-id": "2" }, [3, 4, 5]],
      ];
      for (const [query, headers, sequences] of rows) {
        const stream = await SseStream.open(tailUrl(server(), subject, query), headers);
        expectOpen(await stream.nextEvent(), epoch);
        expect([query, (await take(stream, sequences.length)).sequences]).toEqual([query, sequences]);
        // The limit ends the stream.
        expect(await stream.nextEvent()).toBeUndefined();
      }
    });

    test("goes from what was stored to what is live without a gap or a repeat", async () => {
      const subject = uniqueSubject("tail");
      const total = 600;
      const publishing = (async () => {
        for (const index of upTo(total / 5)) {
          await admin().publishBatch(upTo(5).map((part) => ({ subject, body: `${index} ${part}` })));
        }
      })();
      await admin().read(subject, { from: 100, waitMs: 20_000 });
      const streams = await Promise.all(upTo(3).map(() => SseStream.open(tailUrl(server(), subject, "?from=first"))));
      for (const stream of streams) {
        expect((await stream.nextEvent())?.event).toBe("open");
        expect((await take(stream, total)).sequences).toEqual(upTo(total));
        stream.close();
      }
      await publishing;
    });

    test("large and binary bodies come whole", async () => {
      const subject = uniqueSubject("tail");
      const stream = await SseStream.open(tailUrl(server(), subject));
      await stream.nextEvent();
      await admin().publish({ subject, body: "x".repeat(2 * 1024 * 1024) });
      await admin().publish({ subject, body: Uint8Array.of(0xff, 0x00) });
      expect((await take(stream, 2)).sequences).toEqual([1, 2]);
      stream.close();
    });

    test("refuses what a read would refuse", async () => {
      const url = tailUrl(server(), uniqueSubject("tail"));
      await expectError(SseStream.open(`${url}?from=x`), "invalid_parameter");
      await expectError(SseStream.open(`${url}?limit=0`), "invalid_parameter");
      await expectError(SseStream.open(`${server().url}/v1/subjects/a..b/messages`), "invalid_subject");
    });

    test("a quiet stream gets a comment within 15 s", async () => {
      if (idle === undefined) throw new Error("not opened");
      expect((await idle.next())?.event).toBe("open");
      expect((await idle.next())?.comment).toBe(true);
    });
  });
};
