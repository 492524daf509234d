/**
 * The server dies by `kill -9` at random moments of a busy life, round after round on one data folder, and nothing that
 * was promised in any round is ever broken. `FAULTS_SEED` repeats a run, `FAULTS_ROUNDS` makes it longer.
 * @module
 */
import { expect, test } from "bun:test";
import { HttpClient } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { makeFolder } from "./folder.ts";
import { Ledger } from "./ledger.ts";
import { AckBook, consumeUntilGone, publishUntilGone } from "./load.ts";
import { ServerProcess } from "./process.ts";
import { SeededRandom } from "./random.ts";

const KiB = 1024;
const rounds = Number(process.env["FAULTS_ROUNDS"] ?? 10);
const seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
/** A round ends at its kill, long before; only keeps a broken test from running for ever. */
const messagesMax = 50_000;

/** Publishes on four connections, kills after a random number of answers, and waits until all connections noticed. */
const runRound = async (
  server: ServerProcess,
  ledger: Ledger,
  books: ReadonlyMap<string, AckBook>,
  random: SeededRandom,
  round: number,
): Promise<void> => {
  let answersLeft = random.integer(1, 1200);
  const onAnswer = (): void => {
    if (--answersLeft === 0) server.signal("SIGKILL");
  };
  const lengths = Array.from({ length: 128 }, () => random.integer(1, 1500));
  // Now and then one that is stored as an object of its own.
  lengths[random.integer(0, 127)] = random.integer(256 * KiB, 600 * KiB);
  const bodyBytes = (index: number): number => lengths[index % lengths.length] ?? 1;
  const lanes = [
    { subjects: ["a", "b", "c"], window: random.integer(1, 200) },
    { subjects: ["a", "d.x", "d.y"], window: random.integer(1, 200) },
    { subjects: ["d.x"], window: random.integer(1, 20) },
  ];
  const http = new HttpClient(server.url);
  const work = lanes.map(async (lane, index) => {
    const client = await WsClient.connect(server.wsUrl, index === 1 ? "mts.json.v1" : "mts.msgpack.v1");
    await publishUntilGone(client, ledger, { ...lane, lane: `${round}.${index}`, messagesMax, bodyBytes, onAnswer });
  });
  work.push(
    publishUntilGone(http, ledger, {
      lane: `${round}.http`,
      subjects: ["b", "d.y"],
      window: 1,
      messagesMax,
      bodyBytes,
      onAnswer,
    }),
  );
  const consumers = [...books].map(async ([subject, book]) => {
    const client = await WsClient.connect(server.wsUrl);
    await consumeUntilGone(client, subject, "worker", book);
  });
  // A connection that was still being made when the server died rejects; all others end by themselves.
  await Promise.allSettled([...work, ...consumers]);
  const { signal } = await server.exited;
  if (signal !== "SIGKILL") throw new Error(`the server ended by itself:\n${server.stderr}`);
};

test(
  `${rounds} rounds of kill -9 at random moments, seed ${seed}`,
  async () => {
    console.log(`kill -9 at random moments: FAULTS_SEED=${seed}`);
    await using folder = await makeFolder();
    const random = new SeededRandom(seed);
    const ledger = new Ledger();
    const books = new Map([
      ["a", new AckBook()],
      ["d.x", new AckBook()],
    ]);
    for (let round = 1; round <= rounds + 1; round++) {
      await using server = await ServerProcess.start({ dataDir: folder.path });
      await ledger.prove(server.url);
      const http = new HttpClient(server.url);
      for (const [subject, book] of books) {
        if (book.acknowledgedThrough === 0) continue;
        const { ackedThrough } = await http.consumer(subject, "worker");
        expect(ackedThrough).toBeGreaterThanOrEqual(book.acknowledgedThrough);
        expect(ackedThrough).toBeLessThanOrEqual(book.requestedThrough);
      }
      if (round <= rounds) await runRound(server, ledger, books, random, round);
    }
    expect(ledger.count("refused")).toBe(0);
    expect(ledger.count("unknown")).toBe(0);
  },
  30_000 + rounds * 10_000,
);
