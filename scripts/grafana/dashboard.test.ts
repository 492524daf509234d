/**
 * Prometheus, its rules and the dashboard against servers that run: each query of the dashboard is put to a real
 * Prometheus that scrapes a server with stores of its own and one over Tarantool and S3, and has to come back with data.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Backends } from "../../src/testing/nodes/cluster.ts";
import { prometheusTool, promtool, startPrometheus, type TestPrometheus } from "../../src/testing/prometheus.ts";
import { startTestServer, type TestServer } from "../../src/testing/server.ts";
import { Traffic } from "./traffic.ts";

interface Target {
  readonly refId: string;
  readonly expr: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

const root = join(import.meta.dir, "..", "..");
const rules = join(root, "scripts/prometheus/alerts.yml");
const dashboard = JSON.parse(readFileSync(join(import.meta.dir, "dashboards/minitoolstream.json"), "utf8")) as {
  readonly uid: string;
  readonly panels: readonly Panel[];
};
const targets = dashboard.panels.flatMap(({ title, targets: found = [] }) =>
  found.map(({ refId, expr }) => [`${title} ${refId}`, expr] as const),
);
/** What Grafana fills in: all nodes, and a few scrapes. */
const filledIn = (expr: string): string =>
  expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "15s").replaceAll("$__all", ".*");

/** Both stores, MinIO's build included, when it is the first time. */
const startMsMax = 300_000;
const env = {
  MTS_METRICS_LABELS: "subjects",
  MTS_SWEEP_INTERVAL: "500ms",
  MTS_SWEEP_GRACE: "1s",
};

const held = new AsyncDisposableStack();
let embedded: TestServer;
let remote: TestServer;
let prometheus: TestPrometheus;
let traffic: readonly Traffic[];

beforeAll(async () => {
  await prometheusTool("prometheus");
  const backends = held.use(await Backends.start());
  embedded = held.use(await startTestServer({ env }));
  remote = held.use(await startTestServer({ env: { ...env, ...backends.env() } }));
  prometheus = held.use(await startPrometheus([embedded.url, remote.url], [rules]));
  traffic = [held.use(await Traffic.start(embedded)), held.use(await Traffic.start(remote))];
}, startMsMax);
afterAll(() => held.disposeAsync(), 60_000);

const pageOf = async (server: TestServer): Promise<string> => (await fetch(`${server.url}/metrics`)).text();

describe("promtool", () => {
  test("the configuration and the rules are right", async () => {
    const config = await promtool(["check", "config", join(root, "scripts/prometheus/prometheus.yml")]);
    expect(config.ok, config.said).toBe(true);
    const alerts = await promtool(["check", "rules", rules]);
    expect(alerts.ok, alerts.said).toBe(true);
    expect((await promtool(["check", "rules", join(root, "scripts/prometheus/prometheus.yml")])).ok).toBe(false);
  });

  test("the rules tell what they are meant to tell", async () => {
    const tested = await promtool(["test", "rules", join(root, "scripts/prometheus/alerts.test.yml")]);
    expect(tested.ok, tested.said).toBe(true);
  });

  test("names and forms on the live pages are as the naming guide wants them", async () => {
    // A page without a call of every kind is no proof.
    await prometheus.until('count(mts_s3_requests_total{outcome="ok"})', (samples) => samples.length > 0);
    for (const server of [embedded, remote]) {
      const checked = await promtool(["check", "metrics"], await pageOf(server));
      expect(checked, checked.said).toEqual({ ok: true, said: "" });
    }
    expect((await promtool(["check", "metrics"], "# HELP mts_x_ms x\n# TYPE mts_x_ms counter\nmts_x_ms 1\n")).ok).toBe(
      false,
    );
  });
});

describe("metrics", () => {
  test("every sample of a page arrives", async () => {
    await prometheus.until("sum(up)", ([sample]) => sample?.value === 2);
    const page = await pageOf(embedded);
    const instance = new URL(embedded.url).host;
    for (const [, name = ""] of page.matchAll(/^# TYPE (\S+) /gm)) {
      const series = page.match(new RegExp(`^${name}(?:_bucket|_sum|_count)?[ {]`, "gm"));
      if (series === null) continue;
      const selector = `count({__name__=~"${name}(_bucket|_sum|_count)?", instance="${instance}"})`;
      await prometheus.until(selector, ([sample]) => (sample?.value ?? 0) >= series.length);
    }
  });

  test("subjects are labels only for those who want that", async () => {
    await using server = await startTestServer();
    const subject = "secret.orders";
    await fetch(`${server.url}/v1/subjects/${subject}/messages`, { method: "POST", body: "x" });
    await fetch(`${server.url}/v1/subjects/${subject}/consumers/hidden/fetch`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    const page = await pageOf(server);
    expect(page).toContain("\nmts_consumers 1\n");
    expect(page).toContain("\nmts_consumers_lag_messages 1\n");
    expect(page).not.toContain("secret");
    expect(page).not.toContain("hidden");
    expect(await pageOf(embedded)).toMatch(/^mts_consumer_lag_messages\{subject="orders",consumer="slow"\} [1-9]/m);
  });

  test("numbers are those of what was done", async () => {
    await using server = await startTestServer();
    const address = `${server.url}/v1/subjects/counted/messages`;
    for (const key of ["a", "b", "b"]) {
      await fetch(address, { method: "POST", body: "12345", headers: { "idempotency-key": key } });
    }
    await fetch(address, { method: "POST", body: "x", headers: { "expected-last-sequence": "9" } });
    await (await fetch(address)).arrayBuffer();
    const page = await pageOf(server);
    for (const line of [
      "mts_published_messages_total 2",
      "mts_published_bytes_total 10",
      "mts_duplicate_messages_total 1",
      'mts_refused_messages_total{code="wrong_last_sequence"} 1',
      "mts_publish_duration_seconds_count 4",
      'mts_delivered_messages_total{verb="read"} 2',
      'mts_delivered_bytes_total{verb="read"} 10',
      'mts_http_requests_total{method="POST",route="/v1/subjects/{subject}/messages",status="201"} 2',
      'mts_http_requests_total{method="POST",route="/v1/subjects/{subject}/messages",status="412"} 1',
      'mts_metadata_calls_total{operation="commit",outcome="ok"} 4',
    ]) {
      expect(page).toContain(`\n${line}\n`);
    }
  });
});

describe("dashboard", () => {
  test("panels have their own places and ids", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });

  test("it can be chosen which nodes it shows", async () => {
    const samples = await prometheus.until("count by (instance) (mts_build_info)", (found) => found.length === 2);
    expect(samples.map(({ labels }) => labels["instance"]).sort()).toEqual(
      [embedded.url, remote.url].map((url) => new URL(url).host).sort(),
    );
    for (const [, expr] of targets) expect(expr).toContain('{instance=~"$instance"');
  });

  test.each(targets)(
    "%s has data",
    async (_, expr) => {
      const samples = await prometheus.until(filledIn(expr), (found) =>
        found.some(({ value }) => Number.isFinite(value)),
      );
      // What only grows never shrinks.
      for (const { value } of samples) expect(value).not.toBeLessThan(0);
    },
    60_000,
  );

  test("counts what was published, on both servers", async () => {
    const before = traffic.map(({ published }) => published);
    const samples = await prometheus.until("mts_published_messages_total", (found) =>
      [embedded, remote].every(({ url }, index) =>
        found.some(
          ({ labels, value }) => labels["instance"] === new URL(url).host && value >= (before[index] ?? Number.NaN),
        ),
      ),
    );
    expect(samples.length).toBe(2);
  });

  test("rules are worked out without a fault, and nothing is wrong with the servers", async () => {
    await prometheus.until("sum(up)", ([sample]) => sample?.value === 2);
    let found = await prometheus.rules();
    while (!found.every(({ health }) => health === "ok")) {
      expect(found.filter(({ health }) => health === "err")).toEqual([]);
      await Bun.sleep(50);
      found = await prometheus.rules();
    }
    const quiet = ["MtsNodeDown", "MtsStoreNotReady", "MtsDataLoss", "MtsUpkeepFails", "MtsActorFails"];
    expect(found.filter(({ name, state }) => quiet.includes(name) && state !== "inactive")).toEqual([]);
  });
});
