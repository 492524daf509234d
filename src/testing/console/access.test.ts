/**
 * The console for everybody: by keyboard alone, for screen readers, in the dark, on a phone; and with tokens.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { useAuthServer } from "../auth/server.ts";
import { inSeconds } from "../auth/token.ts";
import type { Page } from "../browser/page.ts";
import { uniqueSubject, useTestServer } from "../server.ts";
import { useConsole } from "./rig.ts";

const axe = await Bun.file(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir)).text();

/** What axe-core finds wrong on the page as it is; it runs as the browser's tool, which no policy stops. */
const violations = async (page: Page): Promise<unknown> => {
  await page.evaluate(`${axe}; undefined`);
  return page.evaluate(
    `axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html, failureSummary }) => html + failureSummary)]))`,
  );
};

describe("without tokens", () => {
  const server = useTestServer();
  const newPage = useConsole(() => server().url);

  test("everything is done with the keyboard alone", async () => {
    const subject = uniqueSubject("console.keys");
    const page = await newPage();
    await page.open(server().url);
    await page.reads("Connected");
    await page.press("Tab");
    expect(await page.focused()).toBe("Skip to content");
    await page.tabTo("Publish");
    await page.press("Enter");
    await page.until("the heading has the focus", "document.activeElement?.tagName === 'H1'");
    await page.tabTo("Subject");
    await page.type(subject);
    await page.tabTo("Body");
    await page.type("by keys alone");
    await page.tabTo("Content type");
    await page.type("text/plain");
    await page.tabTo("Publish");
    await page.press("Enter");
    await page.reads("Stored as");
    await page.tabTo(`message 1 of ${subject}`);
    await page.press("Enter");
    await page.reads("by keys alone");
    await page.tabTo("Hex");
    await page.press(" ");
    await page.reads("62 79 20 6b 65 79 73");
    await page.press("Shift+Tab");
    expect(await page.focused()).toBe("Text");
  }, 60_000);

  test("colours are those of the system, until somebody chooses", async () => {
    const page = await newPage();
    const ground = "getComputedStyle(document.body).backgroundColor";
    await page.prefers("dark");
    await page.open(server().url);
    await page.reads("Connected");
    const dark = await page.evaluate(ground);
    await page.prefers("light");
    const light = await page.evaluate(ground);
    expect(dark).not.toBe(light);
    await (await page.find("button", "Colours: as the system")).click();
    await (await page.find("button", "Colours: light")).click();
    await page.find("button", "Colours: dark");
    expect(await page.evaluate(ground)).toBe(dark);
    await page.open(`${server().url}/#/live`);
    await page.call("Page.reload");
    await page.reads("Listening");
    expect(await page.evaluate(ground)).toBe(dark);
  });

  test.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 390],
  ] as const)(
    "axe-core finds nothing wrong: %s, %d wide",
    async (scheme, width) => {
      const subject = uniqueSubject("console.axe");
      const headers = { "content-type": "application/json" };
      const body = `{"list":[1,2],"text":"x","none":null}`;
      await fetch(`${server().url}/v1/subjects/${subject}/messages`, { method: "POST", body, headers });
      const consumer = `${server().url}/v1/subjects/${subject}/consumers/c`;
      await fetch(consumer, { method: "PUT", body: "{}", headers });
      const event = JSON.stringify({
        user_id: "u",
        event_type: "refund",
        amount: 1,
        timestamp: new Date().toISOString(),
      });
      await fetch(`${server().url}/events`, { method: "POST", body: event, headers });
      const page = await newPage();
      await page.prefers(scheme);
      await page.size(width, 900);
      const places: readonly (readonly [hash: string, shows: string])[] = [
        ["#/subjects", subject],
        [`#/subjects/${subject}`, "application/json"],
        [`#/subjects/${subject}/1`, `"none"`],
        [`#/subjects/${subject}/consumers`, "all before"],
        ["#/live", "Listening"],
        ["#/publish", "Add a header"],
        ["#/events", "refund-"],
        ["#/actors", "metrics"],
        ["#/actors/metrics", "running"],
        ["#/server", "ready"],
      ];
      for (const [hash, shows] of places) {
        await page.open("about:blank");
        await page.open(`${server().url}/${hash}`);
        await page.reads("Connected");
        await page.reads(shows);
        expect([hash, await violations(page)]).toEqual([hash, []]);
        // Only tables and bodies may be wider than the screen, and scroll by themselves.
        const wide = await page.evaluate("document.documentElement.scrollWidth");
        expect([hash, Number(wide) <= width]).toEqual([hash, true]);
      }
    },
    90_000,
  );

  test("text cannot become markup, whatever the page's own code would do", async () => {
    const page = await newPage();
    await page.open(server().url);
    await page.reads("Connected");
    const markup = `(() => { try { document.body.innerHTML = "<b>x</b>"; return "set"; } catch ({ name }) { return name; } })()`;
    expect(await page.evaluate(markup)).toBe("TypeError");
    // What the policy stops is an error that every other test would fail for.
    expect(page.errors.splice(0).join()).toContain("TrustedHTML");
  });

  test("a way back and forth, and a title for every place", async () => {
    const page = await newPage();
    await page.open(server().url);
    await page.until("its title", "document.title === 'Subjects · MiniToolStream'");
    await (await page.find("link", "Actors")).click();
    await page.until("its title", "document.title === 'Actors · MiniToolStream'");
    await page.evaluate("history.back()");
    await page.until("the place before", "document.title === 'Subjects · MiniToolStream'");
    expect(await page.evaluate("document.querySelector('nav [aria-current=page]').textContent")).toBe("Subjects");
  });
});

describe("with tokens", () => {
  const rig = useAuthServer();
  const newPage = useConsole(() => rig().server.url);

  test("it asks for one, says why one is refused, and keeps it for this tab alone", async () => {
    const { server, issuer } = rig();
    const page = await newPage();
    await page.open(server.url);
    const field = await page.find("textbox", "Token");
    expect(await violations(page)).toEqual([]);
    await field.fill(issuer.admin({ exp: 1000 }));
    await (await page.find("button", "Sign in")).click();
    await page.reads("token_expired");
    await field.fill("nonsense");
    await page.press("Enter");
    await page.reads("unauthenticated");
    await field.fill(issuer.admin());
    await page.press("Enter");
    await page.reads("Connected");
    await page.find("link", "Live");
    await page.call("Page.reload");
    await page.reads("Connected");
    expect(await page.evaluate("Object.keys(localStorage).length")).toBe(0);
    const other = await newPage();
    await other.open(server.url);
    await other.find("textbox", "Token");
    await (await page.find("button", "Forget token")).click();
    await page.find("textbox", "Token");
    expect(await page.evaluate("Object.keys(sessionStorage).length")).toBe(0);
    // It never stood in an address.
    expect(page.requests.filter(({ url }) => url.includes(issuer.admin().slice(0, 20)))).toEqual([]);
  }, 60_000);

  test("a token sees what it may see, live too, and is told what it may not", async () => {
    const { server, issuer } = rig();
    const own = uniqueSubject("console.own");
    const foreign = uniqueSubject("console.foreign");
    const admin = { authorization: `Bearer ${issuer.admin()}` };
    for (const subject of [own, foreign]) {
      const path = `${server.url}/v1/subjects/${subject}/messages`;
      expect((await fetch(path, { method: "POST", body: "stored", headers: admin })).status).toBe(201);
    }
    const token = issuer.token({ allowed_subjects: [own], permissions: ["*"] });
    const page = await newPage();
    await page.open(server.url);
    await (await page.find("textbox", "Token")).fill(token);
    await page.press("Enter");
    await page.reads(own);
    expect(await page.text()).not.toContain(foreign);
    await page.evaluate(`location.hash = "#/subjects/${foreign}"`);
    await page.reads("permission_denied");
    await page.evaluate(`location.hash = "#/live?filter=${own}"`);
    await page.reads("Listening");
    const path = `${server.url}/v1/subjects/${own}/messages`;
    await fetch(path, { method: "POST", body: "seen-live", headers: admin });
    await page.reads("seen-live");
  }, 60_000);

  test("a token that ends while somebody looks is asked for again, with the reason", async () => {
    const { server, issuer } = rig();
    const page = await newPage();
    await page.open(server.url);
    await (await page.find("textbox", "Token")).fill(issuer.admin({ exp: inSeconds(4) }));
    await page.press("Enter");
    await page.reads("Connected");
    await page.reads("This server asks for a token");
    await page.reads("token_expired");
    await (await page.find("textbox", "Token")).fill(issuer.admin());
    await page.press("Enter");
    await page.reads("Connected");
  }, 60_000);
});
