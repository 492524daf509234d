/**
 * GraphiQL in a real browser, by doing what a person does: type a query, run it, see data.
 * @module
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Chromium } from "../browser/chromium.ts";
import { useTestServer } from "../server.ts";
import { eventBody, graphqlUrl, publishEvents } from "./rig.ts";

setDefaultTimeout(60_000);

const server = useTestServer();
let browser: Chromium | undefined;

beforeAll(async () => {
  browser = await Chromium.start();
}, 60_000);

afterAll(async () => {
  await browser?.close();
}, 30_000);

test("a query is typed and run, a subscription is live, and nothing comes from another host", async () => {
  await publishEvents(server(), [eventBody(150.75, { user_id: "somebody" })]);
  if (browser === undefined) throw new Error("no browser");
  const page = await browser.page();
  await page.open(graphqlUrl(server()));
  await page.until("the editor is there", `document.querySelector(".graphiql-query-editor .view-lines .view-line")`);
  const editor = `document.querySelector(".graphiql-query-editor .native-edit-context, .graphiql-query-editor textarea")`;
  const write = async (text: string): Promise<void> => {
    await page.evaluate(`${editor}.focus()`);
    // Control and A; what is typed takes the place of everything.
    const key = { key: "a", code: "KeyA", windowsVirtualKeyCode: 65, modifiers: 2 };
    for (const type of ["rawKeyDown", "keyUp"]) await page.call("Input.dispatchKeyEvent", { type, ...key });
    // The editor itself closes what is opened first.
    await page.call("Input.insertText", { text: text.replace(/\}$/, "") });
    // What is run is what the page has taken note of.
    await page.until(
      "the query is noted",
      `Object.values(localStorage).some((kept) => kept.includes("${text.slice(0, 24)}"))`,
    );
  };
  const run = async (): Promise<void> => {
    await page.evaluate(`document.querySelector(".graphiql-execute-button").click()`);
  };
  const shown = `document.querySelector(".graphiql-response .view-lines")?.innerText.replaceAll("\\u00a0", " ")`;
  await write("{ lastEvents(limit: 1) { userId amount } }");
  await run();
  await page.until("the event", `${shown}.includes("somebody") && ${shown}.includes("150.75")`);
  const path = process.env["MTS_TEST_SCREENSHOTS"];
  if (path !== undefined) await page.screenshot(`${path}/graphiql.png`);

  await write("subscription { eventStream { userId } }");
  await run();
  // Nothing tells when the subscription has begun, so events come until one shows.
  for (let sent = 0; ; sent++) {
    await publishEvents(server(), [eventBody(1, { user_id: "live-one" })]);
    if (String(await page.evaluate(`${shown} ?? ""`)).includes("live-one")) break;
    if (sent > 300) throw new Error("no event showed");
    await Bun.sleep(50);
  }
  const own = new URL(server().url).host;
  const others = page.requests.filter(({ url }) => !/^(?:data|blob|about):/.test(url) && new URL(url).host !== own);
  expect(others).toEqual([]);
  expect(page.errors).toEqual([]);
  await page.close();
});
