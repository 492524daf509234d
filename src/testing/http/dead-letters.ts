/**
 * Messages that a consumer gave up: where they go, what they say, and how they come back.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request, sendJson } from "./request.ts";

const consumerPath = (subject: string, more = ""): string => `${subjectPath(subject)}/consumers/worker${more}`;

/** A consumer that gives up at once, and messages that it has given up. */
const giveUp = async (server: TestServer, bodies: readonly string[]) => {
  const subject = uniqueSubject("work");
  const dead = `dead.${subject}`;
  const config = { ack: "explicit", max_deliver: 1, dead_letter: dead };
  const made = await sendJson(server, "PUT", consumerPath(subject), config);
  expect(await made.json()).toMatchObject({ dead_letter: dead });
  const client = new HttpClient(server.url);
  await client.publishBatch(bodies.map((body) => ({ subject, body, headers: { own: "kept" } })));
  const { messages } = await client.fetch(subject, "worker", { limit: bodies.length });
  const sequences = messages.map(({ sequence }) => sequence);
  const nacked = await sendJson(server, "POST", consumerPath(subject, "/nack"), { sequences, error: "no stock: нет" });
  expect(nacked.status).toBe(200);
  return { subject, dead, client };
};

/** The group. */
export const defineDeadLetters = (server: () => TestServer): void => {
  describe("dead letters", () => {
    test("a message that was given up goes to its subject, with the reason", async () => {
      const { subject, dead, client } = await giveUp(server(), ["first"]);
      const [letter] = (await client.read(dead)).messages;
      expect(new TextDecoder().decode(letter?.body)).toBe("first");
      expect(letter?.headers).toEqual({
        own: "kept",
        "dead-letter-reason": "max_deliver",
        "dead-letter-consumer": "worker",
        "dead-letter-subject": subject,
        "dead-letter-sequence": "1",
        "dead-letter-timestamp": expect.stringMatching(/^\d{13}$/) as string,
        "dead-letter-deliveries": "1",
        "dead-letter-error": "no stock: нет",
      });
      expect(await client.consumer(subject, "worker")).toMatchObject({ ackedThrough: 1, pending: 0 });
      const shown = (await (await request(server(), "GET", consumerPath(subject))).json()) as object;
      expect(shown).toMatchObject({ dead_letter: dead });
    });

    test("redrive sends them back, in order, as many as asked for", async () => {
      const { subject, dead, client } = await giveUp(server(), ["a", "b", "c"]);
      const redrive = (body: object) => sendJson(server(), "POST", consumerPath(subject, "/redrive"), body);
      expect(await (await redrive({ limit: 2, rate: 1000 })).json()).toEqual({ redriven: 2, more: true });
      expect(await (await redrive({})).json()).toEqual({ redriven: 1, more: false });
      expect(await (await redrive({})).json()).toEqual({ redriven: 0, more: false });
      const back = (await client.read(subject, { from: 4 })).messages;
      expect(back.map(({ body }) => new TextDecoder().decode(body))).toEqual(["a", "b", "c"]);
      expect(back.map(({ headers }) => headers)).toEqual([{ own: "kept" }, { own: "kept" }, { own: "kept" }]);
      expect((await client.read(dead)).messages).toEqual([]);
    });

    test("redrive needs a consumer with a subject for them", async () => {
      const subject = uniqueSubject("plain");
      await expectProblem(
        await sendJson(server(), "POST", consumerPath(subject, "/redrive"), {}),
        404,
        "consumer_not_found",
      );
      await new HttpClient(server().url).putConsumer(subject, "worker", { ack: "explicit", max_deliver: 1 });
      await expectProblem(
        await sendJson(server(), "POST", consumerPath(subject, "/redrive"), {}),
        422,
        "no_dead_letters",
      );
    });

    test.each([
      [{ limit: 0 }, "limit"],
      [{ limit: 10_001 }, "limit"],
      [{ rate: 0 }, "rate"],
      [{ rate: "10" }, "rate"],
      [{ rate: null }, "rate"],
    ])("redrive with %j is refused", async (body, parameter) => {
      const response = await sendJson(server(), "POST", consumerPath("any", "/redrive"), body);
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter });
    });

    test.each([
      [{ dead_letter: "dead" }],
      [{ ack: "explicit", dead_letter: "dead" }],
      [{ ack: "all", max_deliver: 3, dead_letter: "dead" }],
      [{ ack: "explicit", max_deliver: 3, dead_letter: "own.subject" }],
      [{ ack: "explicit", max_deliver: 3, dead_letter: "$server" }],
      [{ ack: "explicit", max_deliver: 3, dead_letter: "a.*" }],
      [{ ack: "explicit", max_deliver: 3, dead_letter: null }],
    ])("a consumer with %j is refused", async (config) => {
      const response = await sendJson(server(), "PUT", consumerPath("own.subject"), config);
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter: "dead_letter" });
    });

    test("another subject for them is another configuration", async () => {
      const subject = uniqueSubject("work");
      const put = (dead_letter?: string) =>
        sendJson(server(), "PUT", consumerPath(subject), { ack: "explicit", max_deliver: 2, dead_letter });
      expect([(await put("x")).status, (await put("x")).status]).toEqual([201, 200]);
      await expectProblem(await put("y"), 409, "consumer_exists");
      await expectProblem(await put(), 409, "consumer_exists");
    });

    test("the reason of a nack has its bound", async () => {
      const subject = uniqueSubject("work");
      for (const error of ["x".repeat(1025), 5, null]) {
        const response = await sendJson(server(), "POST", consumerPath(subject, "/nack"), { sequences: [1], error });
        expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter: "error" });
      }
    });
  });
};
