/**
 * A headless Chromium with nothing of anybody's in it, for tests that do what a person does. A missing one is a failure:
 * scripts/test installs it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "../guardian.ts";
import { DevTools } from "./devtools.ts";
import { Page } from "./page.ts";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

const flags = [
  "--headless=new",
  "--remote-debugging-port=0",
  // The tests run as root in containers, where its own sandbox does not start; the pages are the server's.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-extensions",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-sync",
  "--no-first-run",
  "--no-default-browser-check",
  "--hide-scrollbars",
  "--force-color-profile=srgb",
  "--lang=en",
];

const executable = (): string => {
  for (const name of names) {
    const path = Bun.which(name);
    if (path !== null) return path;
  }
  throw new Error("Chromium is missing; install the package `chromium`");
};

/** A running browser. */
export class Chromium {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #folder: string;
  readonly #tools: DevTools;

  private constructor(child: Bun.Subprocess<"ignore", "ignore", "pipe">, folder: string, tools: DevTools) {
    this.#child = child;
    this.#folder = folder;
    this.#tools = tools;
  }

  static async start(): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), "mts-chromium-"));
    const child = Bun.spawn([executable(), ...flags, `--user-data-dir=${folder}`, "about:blank"], {
      env: { ...process.env, TZ: "UTC" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    guard(child.pid);
    const tools = await DevTools.connect(await addressIn(child.stderr));
    return new Chromium(child, folder, tools);
  }

  /** A new page in a profile of its own: nothing is stored in it. */
  async page(): Promise<Page> {
    const { browserContextId } = await this.#tools.call("Target.createBrowserContext");
    const { targetId } = await this.#tools.call("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.#tools.call("Target.attachToTarget", { targetId, flatten: true });
    return Page.attach(this.#tools, String(sessionId), async () => {
      await this.#tools.call("Target.disposeBrowserContext", { browserContextId });
    });
  }

  async close(): Promise<void> {
    await this.#tools.call("Browser.close").catch(() => undefined);
    this.#tools.close();
    await this.#child.exited;
    release(this.#child.pid);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The address that it writes when it is ready; it goes on reading, so that the pipe never fills. */
const addressIn = (stderr: ReadableStream<Uint8Array>): Promise<string> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of stderr) {
        text = (text + decoder.decode(chunk, { stream: true })).slice(-64 * 1024);
        const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
        if (address !== undefined) resolve(address);
      }
      reject(new Error(`Chromium ended before it was ready:\n${text}`));
    };
    read().catch(reject);
  });
