import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { useAuthServer } from "../src/testing/auth/server.ts";
import { guard, release } from "../src/testing/guardian.ts";
import { startTestServer, type TestServer, useTestServer } from "../src/testing/server.ts";
import { EventSource, type PlannedSend } from "./generator/events.ts";
import { type Options, parseOptions } from "./generator/options.ts";

setDefaultTimeout(60_000);

const script = join(import.meta.dir, "event-generator.ts");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const runScript = async (...argv: readonly string[]): Promise<Ended> => {
  const child = Bun.spawn([process.execPath, script, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  guard(child.pid);
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  release(child.pid);
  return { code, stdout, stderr };
};

/** Against a server, with the result as it is printed for programs. */
const runOn = async (server: TestServer, ...argv: readonly string[]): Promise<Record<string, unknown>> => {
  const words = ["--url", server.url, "--grpc", server.grpcTarget, "--json", ...argv];
  const { code, stdout, stderr } = await runScript(...words);
  if (stdout === "") throw new Error(stderr);
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
};

interface Shown {
  readonly user_id: string;
  readonly event_type: string;
  readonly amount: number;
  readonly timestamp: string;
}

/** All events that a server has, oldest first. */
const eventsOf = async ({ url }: TestServer): Promise<readonly Shown[]> => {
  const response = await fetch(`${url}/events?order=oldest&limit=1000`);
  const { events, has_more } = (await response.json()) as { readonly events: Shown[]; readonly has_more: boolean };
  expect(has_more).toBe(false);
  return events;
};

test("help", async () => {
  const child = Bun.spawn([join(import.meta.dir, "event-generator"), "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  expect(await child.stdout.text()).toStartWith("Usage: scripts/event-generator [options]\n");
  expect(await child.exited).toBe(0);
});

test("wrong options end with 2, and all of them are named", async () => {
  const wrong: readonly (readonly string[])[] = [
    ["--nonsense"],
    ["--rate", "fast"],
    ["--rate", "0"],
    ["--count", "0"],
    ["--count", "5", "--duration", "1s"],
    ["--duration", "soon"],
    ["--mix", "sale=3"],
    ["--mix", "purchase=0"],
    ["--mix", "purchase=1=2"],
    ["--late", "2"],
    ["--late", "0.1:0s"],
    ["--late", "0.1:1h:1h"],
    ["--repeat", "-1"],
    ["--transport", "post"],
    ["--url", "here"],
    ["--url", "http://127.0.0.1:8000/events"],
    ["--grpc", "http://127.0.0.1:8000"],
    ["--batch", "10001"],
    ["--users", "0"],
    ["--lateness", "1h"],
    ["--verify", "--late", "0.1:3599s"],
    ["--verify", "--late", "0.1:7d"],
    ["stray"],
  ];
  for (const argv of wrong) {
    expect([argv, parseOptions(argv, {}).kind]).toEqual([argv, "wrong"]);
  }
  const { code, stdout, stderr } = await runScript("--rate", "fast", "--users", "0", "--mix", "sale=1");
  expect([code, stdout]).toEqual([2, ""]);
  for (const name of ["--rate", "--users", "--mix"]) expect(stderr).toContain(name);
});

test("nobody at the URL, or at the gRPC port, ends with 1", async () => {
  const { code, stderr } = await runScript("--url", "http://127.0.0.1:1");
  expect(code).toBe(1);
  expect(stderr).toContain("nothing answers at http://127.0.0.1:1");
});

const optionsOf = (...argv: readonly string[]): Options => {
  const parsed = parseOptions(argv, {});
  if (parsed.kind !== "run") throw new Error(JSON.stringify(parsed));
  return parsed.options;
};

describe("the events", () => {
  const startMs = Date.parse("2026-01-01T00:00:00Z");
  const sendsOf = (count: number, ...argv: readonly string[]): readonly PlannedSend[] => {
    const source = new EventSource(optionsOf(...argv), "key-");
    return Array.from({ length: count }, (_, index) => source.next(startMs + index * 10));
  };

  test("are the same for the same seed, and others for another", () => {
    const argv = ["--seed", "7", "--late", "10%", "--repeat", "0.1"];
    expect(sendsOf(1000, ...argv)).toEqual(sendsOf(1000, ...argv));
    expect(sendsOf(1000, ...argv)).not.toEqual(sendsOf(1000, "--seed", "8", "--late", "10%", "--repeat", "0.1"));
  });

  test("come in the shares that are asked for", () => {
    const argv = ["--mix", "purchase=70,return=10,refund=20", "--users", "10", "--late", "0.05:2h", "--repeat", "0.1"];
    const sends = sendsOf(20_000, ...argv);
    const first = sends.filter(({ isRepeat }) => !isRepeat).map(({ event }) => event);
    const share = (count: number): number => count / first.length;
    const shareOf = (type: string): number => share(first.filter(({ eventType }) => eventType === type).length);
    expect(shareOf("purchase")).toBeCloseTo(0.7, 1);
    expect(shareOf("return")).toBeCloseTo(0.1, 1);
    expect(shareOf("refund")).toBeCloseTo(0.2, 1);
    expect(share(first.filter(({ isLate }) => isLate).length)).toBeCloseTo(0.05, 2);
    expect(1 - first.length / sends.length).toBeCloseTo(0.1, 1);
    expect(first.map(({ number }) => number)).toEqual(first.map((_, index) => index));
    expect(new Set(first.map(({ key }) => key)).size).toBe(first.length);
    expect(new Set(first.map(({ userId }) => userId)).size).toBe(10);
    for (const [index, { event, isRepeat }] of sends.entries()) {
      const atMs = startMs + index * 10;
      expect(event.amountCents).toBeGreaterThanOrEqual(100);
      if (isRepeat) expect(event.number).toBeLessThan(index);
      else expect(event.occurredAtMs).toBe(event.isLate ? atMs - 7_200_000 : atMs);
    }
  });

  test("of one type alone", () => {
    const sends = sendsOf(500, "--mix", "refund=1");
    expect(new Set(sends.map(({ event }) => event.eventType))).toEqual(new Set(["refund"]));
  });
});

describe.each(["rest", "grpc", "ws"])("over %s", (transport) => {
  const over = ["--transport", transport, "--rate", "max"];

  test.each(["1", "7"])("in requests of %s, what was sent is there and counted", async (batch) => {
    await using server = await startTestServer();
    const argv = [...over, "--count", "600", "--batch", batch, "--late", "0.1", "--repeat", "0.1", "--verify"];
    const result = await runOn(server, ...argv);
    expect(result).toMatchObject({ code: 0, ok: true, sent: 600, failed: 0, problems: [] });
    const { stored, duplicates, verified, types } = result as {
      readonly stored: number;
      readonly duplicates: number;
      readonly verified: { readonly events: number };
      readonly types: Readonly<Record<string, { readonly late: number; readonly repeats: number }>>;
    };
    expect(duplicates).toBeGreaterThan(0);
    expect([stored + duplicates, verified.events]).toEqual([600, stored]);
    const sum = (name: "late" | "repeats"): number => Object.values(types).reduce((all, type) => all + type[name], 0);
    expect(sum("repeats")).toBe(duplicates);
    expect(await eventsOf(server)).toHaveLength(stored);
    const metrics = (await (await fetch(`${server.url}/events/metrics?minutes=200`)).json()) as object;
    expect(metrics).toMatchObject({ event_count: stored - sum("late"), late_count: sum("late") });
    expect(sum("late")).toBeGreaterThan(0);
  });

  test("the same seed is the same events, whoever gets them, and a second run is stored too", async () => {
    await using first = await startTestServer();
    await using second = await startTestServer();
    const argv = [...over, "--count", "200", "--seed", "3", "--repeat", "0.2"];
    const results = [await runOn(first, ...argv), await runOn(second, ...argv)];
    for (const result of results) expect(result).toMatchObject({ code: 0, ok: true });
    const told = async (server: TestServer): Promise<readonly string[]> =>
      (await eventsOf(server))
        .map(({ user_id, event_type, amount }) => `${user_id} ${event_type} ${amount}`)
        .toSorted();
    const events = await told(first);
    expect(events).toEqual(await told(second));
    expect(await runOn(first, ...argv)).toMatchObject({ stored: events.length });
    expect(await told(first)).toHaveLength(2 * events.length);
  });
});

describe("a run", () => {
  const server = useTestServer();

  test("keeps its rate, and tells it in a table", async () => {
    const { code, stdout } = await runScript("--url", server().url, "--rate", "200/s", "--count", "200", "--verify");
    expect(stdout).toMatch(/^all +200 +0 +0 +200 +0 +[\d]+\.\d\d$/m);
    expect(stdout).toMatch(/^latency +p50 /m);
    expect(stdout).toMatch(/^verified +200 events, .* all counted, to the cent$/m);
    expect(stdout).toEndWith("ok\n");
    expect(code).toBe(0);
    const timestamps = (await eventsOf(server()))
      .map(({ timestamp }) => Date.parse(timestamp))
      .toSorted((a, b) => a - b);
    // Even steps of 5 ms, whatever the machine was doing.
    const steps = timestamps.slice(1).map((at, index) => at - (timestamps[index] ?? 0));
    expect(new Set(steps)).toEqual(new Set([5]));
  });

  test("finds what was not counted as it was sent", async () => {
    // Late by less than the server says, so that it is counted and not told apart.
    const argv = ["--rate", "max", "--count", "100", "--late", "1:30m", "--verify", "--lateness", "10m"];
    const { code, problems } = await runOn(server(), ...argv);
    expect(code).toBe(1);
    expect(String(problems)).toContain("counted");
  });

  test("ends with its result on Ctrl-C", async () => {
    const argv = ["--url", server().url, "--duration", "0s", "--rate", "50", "--verify", "--json"];
    const child = Bun.spawn([process.execPath, script, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
    // The first line of progress says that it is under way.
    const reader = child.stderr.getReader();
    await reader.read();
    reader.releaseLock();
    child.kill("SIGINT");
    expect(JSON.parse(await child.stdout.text())).toMatchObject({ ok: true, interrupted: true, unsent: 0 });
    expect(await child.exited).toBe(0);
  });

  test("without a metrics actor nothing can be verified", async () => {
    await using bare = await startTestServer({ env: { MTS_ACTORS: "none" } });
    const { code, stderr } = await runScript("--url", bare.url, "--count", "1", "--verify");
    expect(code).toBe(1);
    expect(stderr).toContain("the metrics cannot be read: /v1/actors/metrics answered 404");
  });
});

describe("with tokens", () => {
  const auth = useAuthServer();

  test.each(["rest", "grpc", "ws"])("over %s", async (transport) => {
    const { server, issuer } = auth();
    const grants = { allowed_subjects: ["events.*"], permissions: ["publish", "fetch"] };
    const argv = ["--transport", transport, "--rate", "max", "--count", "50", "--verify"];
    expect(await runOn(server, ...argv, "--token", issuer.token(grants))).toMatchObject({ code: 0, ok: true });
    const purchases = issuer.token({ ...grants, allowed_subjects: ["events.purchase"] });
    for (const batch of ["1", "10"]) {
      const plain = ["--transport", transport, "--rate", "max", "--count", "50", "--batch", batch];
      const { code, refusals, types } = await runOn(server, ...plain, "--token", purchases);
      expect(code).toBe(1);
      const {
        purchase,
        refund,
        return: returned,
      } = types as Readonly<
        Record<string, { readonly sent: number; readonly stored: number; readonly failed: number }>
      >;
      expect(purchase).toMatchObject({ failed: 0, stored: purchase?.sent });
      expect(refund).toMatchObject({ stored: 0, failed: refund?.sent });
      expect(refusals).toEqual({ permission_denied: (refund?.sent ?? 0) + (returned?.sent ?? 0) });
    }
  });
});
