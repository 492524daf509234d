/**
 * A real Prometheus as a subprocess, scraping servers under test every second, and promtool. `scripts/lib/prometheus.sh`
 * gets them.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "./guardian.ts";
import { installedPath } from "./installed.ts";
import { WireMap } from "./wire.ts";

const pollMs = 50;
/** A port that was free may be taken before Prometheus binds it. */
const startsMax = 3;

let folder: Promise<string> | undefined;

/** Path of `prometheus` or `promtool`; gets both when they are not there yet. */
export const prometheusTool = async (name: "prometheus" | "promtool"): Promise<string> => {
  folder ??= installedPath("prometheus", "prometheus");
  return join(await folder, name);
};

/** Runs promtool; what it said, and whether it was content. */
export const promtool = async (
  args: readonly string[],
  input = "",
): Promise<{ readonly ok: boolean; readonly said: string }> => {
  const child = Bun.spawn([await prometheusTool("promtool"), ...args], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { ok: code === 0, said: out + err };
};

/** One line of a result. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus under test. */
export class TestPrometheus implements AsyncDisposable {
  readonly url: string;
  readonly #child: Bun.Subprocess;
  readonly #dir: string;

  constructor(url: string, child: Bun.Subprocess, dir: string) {
    this.url = url;
    this.#child = child;
    this.#dir = dir;
  }

  /** The value of an expression now. @throws Error when Prometheus refuses it */
  async query(expression: string): Promise<readonly PrometheusSample[]> {
    const body = new URLSearchParams({ query: expression });
    const answer = new WireMap(
      await (await fetch(`${this.url}/api/v1/query`, { method: "POST", body })).json(),
      "answer",
    );
    if (answer.fields["status"] !== "success") throw new Error(`${expression}: ${String(answer.fields["error"])}`);
    return new WireMap(answer.fields["data"], "data").list("result").map((raw) => {
      const { metric, value } = raw as { metric: Record<string, string>; value: [number, string] };
      return { labels: metric, value: Number(value[1]) };
    });
  }

  /** Asks until the answer is as wanted. */
  async until(
    expression: string,
    wanted: (samples: readonly PrometheusSample[]) => boolean,
  ): Promise<readonly PrometheusSample[]> {
    for (;;) {
      const samples = await this.query(expression);
      if (wanted(samples)) return samples;
      await Bun.sleep(pollMs);
    }
  }

  /** Alerting rules with their health and their state. */
  async rules(): Promise<readonly { readonly name: string; readonly health: string; readonly state: string }[]> {
    const answer = (await (await fetch(`${this.url}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; health: string; state: string }[] }[] };
    };
    return answer.data.groups.flatMap(({ rules }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#child;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    release(pid);
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/**
 * Starts one that scrapes these servers.
 * @param targets URLs of servers
 * @param rules paths of rule files
 */
export const startPrometheus = async (
  targets: readonly string[],
  rules: readonly string[] = [],
): Promise<TestPrometheus> => {
  const dir = await mkdtemp(join(tmpdir(), "mts-prometheus-"));
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: rules,
    scrape_configs: [
      { job_name: "minitoolstream", static_configs: [{ targets: targets.map((url) => new URL(url).host) }] },
    ],
  };
  // JSON is YAML.
  await Bun.write(join(dir, "prometheus.yml"), JSON.stringify(config));
  for (let starts = 1; ; starts++) {
    const started = await start(dir);
    if (started !== undefined) return started;
    if (starts === startsMax) throw new Error("Prometheus does not start; standard error says why");
  }
};

const start = async (dir: string): Promise<TestPrometheus | undefined> => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const address = `127.0.0.1:${listener.port}`;
  listener.stop(true);
  const child = Bun.spawn(
    [
      await prometheusTool("prometheus"),
      `--config.file=${join(dir, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=error",
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "inherit" },
  );
  guard(child.pid);
  const url = `http://${address}`;
  while (child.exitCode === null) {
    const isReady = await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return new TestPrometheus(url, child, dir);
    await Bun.sleep(pollMs);
  }
  release(child.pid);
  return undefined;
};
