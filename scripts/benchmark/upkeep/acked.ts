/**
 * What it costs that messages go when all recipients have acknowledged them: three recipients with leases, with and
 * without the policy.
 * @module
 */
import { connect } from "../../../src/client/index.ts";
import { putPolicy } from "../../../src/testing/policies.ts";
import type { TestServer } from "../../../src/testing/server.ts";
import { cpuUsOf } from "../../load-test/cpu.ts";
import type { Reading, Readings, Scenario } from "../scenario.ts";
import { bodyOf } from "./fill.ts";
import { UpkeepRig } from "./rig.ts";
import { scaled, type UpkeepOptions, waitFor } from "./scenarios.ts";

const recipients = ["billing", "shipping", "stock"] as const;
const bodyBytes = 1024;
/** Fetched and acknowledged at a time. */
const pageMax = 500;
const publishWindow = 1000;

const storedMessages = async (server: TestServer, subject: string): Promise<number> => {
  const response = await fetch(`${server.url}/v1/subjects/${subject}`);
  return ((await response.json()) as { readonly messages: number }).messages;
};

/** Publishes, and has all recipients fetch and acknowledge everything. */
const pass = async (
  server: TestServer,
  subject: string,
  messages: number,
  isReleased: boolean,
  { show }: UpkeepOptions,
): Promise<Reading> => {
  await using publisher = connect(server.url);
  await publisher.connected();
  for (const name of recipients) {
    await publisher.putConsumer(subject, name, { ack: "explicit", maxAckPending: 2 * pageMax });
  }
  const cpuUs = cpuUsOf(server.pid) ?? NaN;
  const startMs = performance.now();
  const publish = async (): Promise<void> => {
    for (let first = 0; first < messages; first += publishWindow) {
      const length = Math.min(publishWindow, messages - first);
      const bodies = Array.from({ length }, (_, place) => bodyOf(first + place, bodyBytes));
      await Promise.all(bodies.map((body) => publisher.publish(subject, body)));
    }
  };
  const receive = async (consumer: string): Promise<void> => {
    await using mts = connect(server.url);
    for (let acked = 0; acked < messages; ) {
      const page = await mts.fetch({ subject, consumer, limit: pageMax, waitMs: 10_000 });
      const sequences = page.messages.map(({ sequence }) => sequence);
      if (sequences.length > 0) await mts.ack(subject, consumer, { sequences });
      acked += sequences.length;
      show(`${consumer}: ${acked} of ${messages}`);
    }
  };
  await Promise.all([publish(), ...recipients.map(receive)]);
  if (isReleased) {
    await waitFor("the release", async () => (await storedMessages(server, subject)) === 0, {
      everyMs: 10,
      limitMs: 60_000,
    });
  }
  const tookMs = performance.now() - startMs;
  const usedUs = (cpuUsOf(server.pid) ?? NaN) - cpuUs;
  return { value: (messages / tookMs) * 1000, details: { server_us_a_message: usedUs / messages } };
};

/** Cost of `retain: acked`. */
export const ackedScenario = (options: UpkeepOptions): Scenario => {
  const { kind } = options;
  const name = `${kind}-acked`;
  return {
    name,
    rows: [
      {
        id: `${name}-without`,
        title: `${kind}: published, fetched and acknowledged by 3 recipients, no policy`,
        unit: "/s",
      },
      { id: name, title: `${kind}: the same with retain: acked, until they are released`, unit: "/s" },
      { id: `${name}-share`, title: `${kind}: with the policy, by without`, unit: "x" },
    ],
    async measure(bench): Promise<Readings> {
      const messages = scaled(bench, kind === "embedded" ? 100_000 : 50_000);
      await using rig = await UpkeepRig.start(kind, bench.folder);
      // Rounds of upkeep as they come: the acknowledgements release by themselves.
      const server = await rig.startServer([]);
      try {
        await putPolicy(server.url, "acked.>", { retain: "acked", recipients });
        await pass(server, "warm.up", messages / 10, false, options);
        await pass(server, "acked.warm-up", messages / 10, true, options);
        const without = await pass(server, "kept.a", messages, false, options);
        const acked = await pass(server, "acked.a", messages, true, options);
        return {
          [`${name}-without`]: without,
          [name]: acked,
          [`${name}-share`]: { value: acked.value / without.value },
        };
      } finally {
        await server.close();
      }
    },
  };
};
