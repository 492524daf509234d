/**
 * One page of a browser, as a person has it: things are found by their role and name, keys and clicks go through the
 * browser's own input, and waiting is for what shows.
 * @module
 */
import type { DevTools, Fields } from "./devtools.ts";
import { keyEvents } from "./keys.ts";

/** How long something may take to show, in milliseconds. */
const showMsMax = 15_000;

/** What a browser says of a request. */
export interface SeenRequest {
  readonly url: string;
  readonly method: string;
}

/** A page. */
export class Page {
  /** Every request, WebSockets included. */
  readonly requests: SeenRequest[] = [];
  /** Errors of the console, exceptions, and what the Content-Security-Policy stopped. */
  readonly errors: string[] = [];
  readonly #tools: DevTools;
  readonly #session: string;
  readonly #dispose: () => Promise<void>;

  private constructor(tools: DevTools, session: string, dispose: () => Promise<void>) {
    this.#tools = tools;
    this.#session = session;
    this.#dispose = dispose;
  }

  static async attach(tools: DevTools, session: string, dispose: () => Promise<void>): Promise<Page> {
    const page = new Page(tools, session, dispose);
    tools.listen(session, (method, params) => page.#hear(method, params));
    for (const domain of ["Page", "Runtime", "Network", "Log", "DOM", "Accessibility"])
      await page.call(`${domain}.enable`);
    await page.size(1280, 900);
    return page;
  }

  call(method: string, params: Fields = {}): Promise<Fields> {
    return this.#tools.call(method, params, this.#session);
  }

  async size(width: number, height: number): Promise<void> {
    const mobile = width < 600;
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
  }

  /** What the system prefers. */
  async prefers(scheme: "light" | "dark"): Promise<void> {
    await this.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  async open(url: string): Promise<void> {
    await this.call("Page.navigate", { url });
    await this.until("the page is loaded", `document.readyState === "complete"`);
  }

  /** The value of an expression in the page; promises are waited for. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true, userGesture: true };
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", options);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  /** Resolves when the expression holds; looks with every frame that is drawn. */
  async until(what: string, expression: string): Promise<void> {
    const look = `new Promise((resolve) => {
      const end = performance.now() + ${showMsMax};
      const look = () => {
        let holds = false;
        try { holds = Boolean(${expression}); } catch {}
        if (holds || performance.now() > end) resolve(holds); else setTimeout(look, 16);
      };
      look();
    })`;
    // Navigating takes the page away under the question.
    const holds = await this.evaluate(look).catch(() => this.evaluate(look));
    if (holds !== true) throw new Error(`it did not show in time: ${what}\n${await this.text()}`);
  }

  /** What can be read on the page. */
  async text(): Promise<string> {
    return String(await this.evaluate("document.body.innerText"));
  }

  /** Resolves when the text can be read. */
  async reads(text: string): Promise<void> {
    await this.until(`“${text}”`, `document.body.innerText.includes(${JSON.stringify(text)})`);
  }

  /** The one thing of this role and name, as screen readers know it. Waits for it. */
  async find(role: string, name: string | RegExp): Promise<Thing> {
    const end = performance.now() + showMsMax;
    for (;;) {
      const found = await this.#query(role, name);
      const [first] = found;
      if (found.length === 1 && first !== undefined) return new Thing(this, first);
      if (performance.now() > end) {
        throw new Error(`${found.length} of ${role} “${String(name)}”\n${await this.text()}`);
      }
      await this.evaluate("new Promise((resolve) => setTimeout(resolve, 30))");
    }
  }

  /** How many there are of this role and name. */
  async count(role: string, name: string | RegExp): Promise<number> {
    return (await this.#query(role, name)).length;
  }

  async #query(role: string, name: string | RegExp): Promise<readonly number[]> {
    const { root } = await this.call("DOM.getDocument", { depth: 0 });
    const { nodeId } = root as { readonly nodeId: number };
    const accessibleName = typeof name === "string" ? { accessibleName: name } : {};
    const asked = await this.call("Accessibility.queryAXTree", { nodeId, role, ...accessibleName }).catch(() => ({
      nodes: [],
    }));
    const nodes = asked["nodes"] as readonly {
      readonly backendDOMNodeId?: number;
      readonly ignored: boolean;
      readonly name?: { readonly value?: string };
    }[];
    return nodes.flatMap(({ backendDOMNodeId: id, ignored, name: read }) =>
      id !== undefined && !ignored && (typeof name === "string" || name.test(read?.value ?? "")) ? [id] : [],
    );
  }

  /** Presses keys such as `Tab`, `Enter`, `Shift+Tab`, `ArrowDown`. */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) for (const event of keyEvents(key)) await this.call("Input.dispatchKeyEvent", event);
  }

  /** Types text where the focus is. */
  async type(text: string): Promise<void> {
    await this.call("Input.insertText", { text });
  }

  /** Goes on with Tab until the focus is on what has this role and name. @throws Error when it is not reached */
  async tabTo(name: string): Promise<void> {
    const stopsMax = 60;
    for (let stop = 0; stop < stopsMax; stop++) {
      await this.press("Tab");
      if ((await this.focused()) === name) return;
    }
    throw new Error(`Tab does not come to “${name}”\n${await this.text()}`);
  }

  /** The accessible name of what has the focus. */
  async focused(): Promise<string> {
    const { result } = await this.call("Runtime.evaluate", { expression: "document.activeElement" });
    const { objectId } = result as { readonly objectId?: string };
    if (objectId === undefined) return "";
    const { nodes } = await this.call("Accessibility.getPartialAXTree", { objectId, fetchRelatives: false });
    const [node] = nodes as readonly { readonly name?: { readonly value?: string } }[];
    return node?.name?.value ?? "";
  }

  /** A PNG of what shows. */
  async screenshot(path: string, whole = false): Promise<void> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });
    await Bun.write(path, Buffer.from(String(data), "base64"));
  }

  async close(): Promise<void> {
    await this.#dispose();
  }

  #hear(method: string, params: Fields): void {
    if (method === "Network.requestWillBeSent") {
      this.requests.push(params["request"] as SeenRequest);
    } else if (method === "Network.webSocketCreated") {
      this.requests.push({ url: String(params["url"]), method: "WEBSOCKET" });
    } else if (method === "Runtime.exceptionThrown") {
      this.errors.push(JSON.stringify(params["exceptionDetails"]));
    } else if (method === "Runtime.consoleAPICalled" && params["type"] === "error") {
      this.errors.push(JSON.stringify(params["args"]));
    } else if (method === "Log.entryAdded") {
      const { level, text, url } = params["entry"] as Readonly<Record<string, string>>;
      if (level === "error") this.errors.push(`${text ?? ""} ${url ?? ""}`);
    }
  }
}

/** Something on the page. */
export class Thing {
  readonly #page: Page;
  readonly #id: number;

  constructor(page: Page, id: number) {
    this.#page = page;
    this.#id = id;
  }

  /** Clicks in its middle, with the mouse. */
  async click(): Promise<void> {
    await this.#page.call("DOM.scrollIntoViewIfNeeded", { backendNodeId: this.#id });
    const { model } = await this.#page.call("DOM.getBoxModel", { backendNodeId: this.#id });
    const { content } = model as { readonly content: readonly number[] };
    const [left = 0, top = 0, , , right = 0, bottom = 0] = content;
    const at = { x: (left + right) / 2, y: (top + bottom) / 2, button: "left", clickCount: 1 };
    await this.#page.call("Input.dispatchMouseEvent", { ...at, type: "mousePressed" });
    await this.#page.call("Input.dispatchMouseEvent", { ...at, type: "mouseReleased" });
  }

  /** Puts this text in place of what is in it. */
  async fill(text: string): Promise<void> {
    await this.#page.call("DOM.focus", { backendNodeId: this.#id });
    await this.run("if (this.select) this.select()");
    if (text === "") await this.#page.press("Delete");
    else await this.#page.type(text);
  }

  /** Chooses an option of a select, or a file. */
  async choose(value: string): Promise<void> {
    await this.run(
      `this.value = ${JSON.stringify(value)}; for (const name of ["input", "change"]) this.dispatchEvent(new Event(name, { bubbles: true }))`,
    );
  }

  async chooseFile(path: string): Promise<void> {
    await this.#page.call("DOM.setFileInputFiles", { backendNodeId: this.#id, files: [path] });
  }

  /** Runs statements with it as `this`; answers what they return. */
  async run(statements: string): Promise<unknown> {
    const { object } = await this.#page.call("DOM.resolveNode", { backendNodeId: this.#id });
    const { objectId } = object as { readonly objectId: string };
    const functionDeclaration = `function () { ${statements} }`;
    const { result } = await this.#page.call("Runtime.callFunctionOn", {
      objectId,
      functionDeclaration,
      returnByValue: true,
      awaitPromise: true,
    });
    return (result as { value?: unknown }).value;
  }
}
