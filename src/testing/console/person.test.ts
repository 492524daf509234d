/**
 * The console in a browser, used as a person uses it: with the mouse, with the keyboard alone, and read as a screen
 * reader reads it.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../client/index.ts";
import type { Page } from "../browser/page.ts";
import { uniqueSubject, useTestServer } from "../server.ts";
import { useConsole } from "./rig.ts";

const server = useTestServer();
const newPage = useConsole(() => server().url);

const open = async (hash = ""): Promise<Page> => {
  const page = await newPage();
  await page.open(`${server().url}/${hash}`);
  await page.reads("Connected");
  return page;
};

/** Publishes as another program does. */
const publish = async (subject: string, body: string | Uint8Array<ArrayBuffer>, type: string): Promise<void> => {
  const path = `/v1/subjects/${encodeURIComponent(subject)}/messages`;
  const response = await fetch(server().url + path, { method: "POST", body, headers: { "content-type": type } });
  expect(response.status).toBe(201);
};

const message = (subject: string, sequence: number): string => `#/subjects/${encodeURIComponent(subject)}/${sequence}`;

// A red dot.
const png = new Uint8Array(
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
    "base64",
  ),
);

describe("publishing and seeing", () => {
  test("a message goes from the form to the browser of messages and to who watches", async () => {
    const subject = uniqueSubject("console.orders");
    const watcher = await open(`#/live?filter=${subject}`);
    await watcher.reads("Listening");
    const page = await open("#/publish");
    await (await page.find("textbox", "Subject")).fill(subject);
    await (await page.find("textbox", "Body")).fill(`{"order": 7, "total": "12.50"}`);
    await (await page.find("button", "Add a header")).click();
    await (await page.find("textbox", "Header name")).fill("trace");
    await (await page.find("textbox", "Header value")).fill("abc");
    await (await page.find("button", "Publish")).click();
    await watcher.reads(`{"order": 7, "total": "12.50"}`);
    await (await page.find("link", `message 1 of ${subject}`)).click();
    await page.reads(`"total": "12.50"`);
    await page.reads("trace");
    await page.reads("abc");
    await page.reads("application/json");
    await (await page.find("button", "Where it is stored")).click();
    await page.reads("sha256");
  });

  test("message id, time to live, delay, and a file in place of text", async () => {
    const subject = uniqueSubject("console.forms");
    const folder = await mkdtemp(join(tmpdir(), "mts-console-"));
    const path = join(folder, "dot.png");
    await Bun.write(path, png);
    const page = await open(`#/publish?subject=${subject}`);
    await (await page.find("button", /^Or a file/)).chooseFile(path);
    await (await page.find("DisclosureTriangle", "Message id, time to live, delay")).click();
    await (await page.find("textbox", "Message id")).fill("m-1");
    await (await page.find("textbox", "Time to live")).fill("nonsense");
    const button = await page.find("button", "Publish");
    await button.click();
    await page.reads("is no duration");
    await (await page.find("textbox", "Time to live")).fill("1h");
    await button.click();
    await page.reads("Stored as");
    await button.click();
    await page.reads("It was there already");
    await (await page.find("textbox", "Message id")).fill("m-2");
    await (await page.find("textbox", "Delay")).fill("1h");
    await button.click();
    await page.reads("Scheduled");
    await page.open(`${server().url}/${message(subject, 1)}`);
    await page.until("the image", "document.querySelector('img')?.naturalWidth === 1");
    await page.reads("Expires");
    await rm(folder, { recursive: true });
  }, 60_000);

  test("what the server refuses is said", async () => {
    const page = await open("#/publish");
    await (await page.find("textbox", "Subject")).fill("not a subject");
    await (await page.find("button", "Publish")).click();
    await page.reads("invalid_subject");
  });
});

describe("subjects", () => {
  test("a rate is seen while messages come, and is nothing afterwards", async () => {
    const subject = uniqueSubject("console.rates");
    await publish(subject, "0", "text/plain");
    const page = await open(`#/subjects?filter=${subject}`);
    const rate = `document.querySelector('[data-subject="${subject}"] .rate')?.textContent`;
    await page.until("a rate of nothing", `${rate} === "0"`);
    const mts = connect(server().url);
    const going = page.until("a rate", `Number(${rate}.replace(",", "")) > 0`);
    let seen = false;
    going.then(
      () => (seen = true),
      () => (seen = true),
    );
    while (!seen) {
      await mts.publish(subject, "x");
      await Bun.sleep(5);
    }
    await going;
    await mts.close();
    await page.until("a rate of nothing again", `${rate} === "0"`);
  });

  test("they are searched by a filter and shown page by page", async () => {
    const root = uniqueSubject("console.pages");
    const mts = connect(server().url);
    const names = Array.from({ length: 120 }, (_, index) => `${root}.s${String(index).padStart(3, "0")}`);
    await mts.publishBatch(names.map((subject) => ({ subject, body: "x" })));
    await mts.close();
    const page = await open();
    await (await page.find("searchbox", "Filter")).fill(`${root}.*`);
    await page.press("Enter");
    await page.reads(`${root}.s049`);
    expect(await page.text()).not.toContain(`${root}.s050`);
    await (await page.find("link", "Next")).click();
    await page.reads(`${root}.s099`);
    await (await page.find("link", "Next")).click();
    await page.reads(`${root}.s119`);
    expect(await page.count("link", "Next")).toBe(0);
    await (await page.find("link", "Previous")).click();
    await page.reads(`${root}.s050`);
    await (await page.find("searchbox", "Filter")).fill("a..b");
    await page.press("Enter");
    await page.reads("invalid_filter");
  });

  test("messages are found from the newest, from a sequence and from a time on", async () => {
    const subject = uniqueSubject("console.many");
    const mts = connect(server().url);
    await mts.publishBatch(Array.from({ length: 60 }, (_, index) => ({ subject, body: `body-${index + 1}.` })));
    const page = await open(`#/subjects/${subject}`);
    await page.reads("body-60.");
    expect(await page.text()).not.toContain("body-35.");
    await (await page.find("link", "Earlier")).click();
    await page.reads("body-35.");
    await page.reads("body-11.");
    const choose = async (how: string): Promise<void> => (await page.find("combobox", "Show")).choose(how);
    await choose("sequence");
    await (await page.find("spinbutton", "Sequence")).fill("7");
    await page.press("Enter");
    await page.reads("body-7.");
    await page.reads("body-31.");
    await choose("first");
    await (await page.find("button", "Go")).click();
    await page.reads("body-1.");
    await page.open("about:blank");
    await page.open(`${server().url}/#/subjects/${subject}?from=2020-01-01T00:00:00.000Z`);
    await page.reads("body-1.");
    await (await page.find("link", "Newest")).click();
    await page.reads("body-60.");
    await mts.publish(subject, "body-61.");
    await mts.close();
    await (await page.find("link", "Show 1 newer message")).click();
    await page.reads("body-61.");
  }, 60_000);
});

describe("bodies", () => {
  test("JSON folds and unfolds, with every digit of its numbers", async () => {
    const subject = uniqueSubject("console.json");
    const list = Array.from({ length: 150 }, (_, index) => `"entry-${index}."`).join(",");
    await publish(subject, `{"id": 12345678901234567890, "list": [${list}]}`, "application/json");
    const page = await open(message(subject, 1));
    await page.reads("12345678901234567890");
    expect(await page.text()).not.toContain("entry-3.");
    await (await page.find("DisclosureTriangle", /"list"/)).click();
    await page.reads("entry-99.");
    expect(await page.text()).not.toContain("entry-100.");
    await (await page.find("button", /more of/)).click();
    await page.reads("entry-149.");
    await (await page.find("button", "Text")).click();
    await page.reads(`{"id": 12345678901234567890, "list": [`);
  });

  test("images are drawn, bytes are dumped, markup is text", async () => {
    const subject = uniqueSubject("console.kinds");
    await publish(subject, png, "image/png");
    await publish(subject, new Uint8Array([0, 255, 65, 66]), "application/octet-stream");
    const markup = `<img src=x onerror="document.title='broken in'"><script>document.title='broken in'</script>`;
    await publish(subject, markup, "text/html");
    await publish(subject, `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml");
    const page = await open(message(subject, 1));
    await page.until("the image", "document.querySelector('img')?.naturalWidth === 1");
    expect(await page.evaluate("document.querySelector('img').src")).toStartWith("blob:");
    await (await page.find("button", "Hex")).click();
    await page.reads("00000000  89 50 4e 47");
    await (await page.find("link", "Later")).click();
    await page.reads("00 ff 41 42");
    await page.reads("..AB");
    await (await page.find("link", "Later")).click();
    await page.reads(markup);
    await (await page.find("link", "Later")).click();
    await page.reads("<script>alert(1)</script>");
    expect(await page.evaluate("document.querySelector('main img, main svg script')")).toBeNull();
    expect(await page.evaluate("document.title")).not.toContain("broken in");
  });

  test("a large body is not loaded whole before somebody wants it", async () => {
    const subject = uniqueSubject("console.large");
    await publish(subject, `${"a".repeat(3 * 1024 * 1024)} the end`, "text/plain");
    const page = await open(message(subject, 1));
    await page.reads("The first 256 KiB of 3 MiB.");
    const loaded = `Number(document.querySelector("pre.text").textContent.length)`;
    expect(await page.evaluate(loaded)).toBe(256 * 1024);
    await (await page.find("button", "Load all")).click();
    await page.until("the end of it", `document.querySelector("pre.text").textContent.endsWith(" the end")`);
  });

  test("a coded body is shown decoded", async () => {
    const subject = uniqueSubject("console.coded");
    const path = `${server().url}/v1/subjects/${subject}/messages`;
    const body = Bun.gzipSync(new TextEncoder().encode(`{"inside": "gzip"}`));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    await fetch(path, { method: "POST", body, headers });
    const page = await open(message(subject, 1));
    await page.reads(`"inside": "gzip"`);
  });

  test("a message that is gone says so", async () => {
    const subject = uniqueSubject("console.gone");
    await publish(subject, "x", "text/plain");
    const page = await open(message(subject, 5));
    await page.reads("message_not_found");
  });
});

describe("consumers", () => {
  test("the lag falls with an acknowledgement, and a consumer is deleted after a question", async () => {
    const subject = uniqueSubject("console.consumers");
    const mts = connect(server().url);
    await mts.publishBatch(Array.from({ length: 12 }, () => ({ subject, body: "x" })));
    await mts.putConsumer(subject, "billing");
    const page = await open(`#/subjects/${subject}/consumers`);
    const lag = `document.querySelector('[data-consumer="billing"] .lag')?.textContent`;
    await page.until("the whole lag", `${lag} === "12"`);
    await mts.ack(subject, "billing", { sequence: 9 });
    await page.until("what is left", `${lag} === "3"`);
    await (await page.find("button", "Delete billing")).click();
    await page.reads("Delete the consumer billing?");
    await page.press("Escape");
    await page.until("no question", "document.querySelector('dialog') === null");
    expect((await mts.consumer(subject, "billing")).pending).toBe(3);
    await (await page.find("button", "Delete billing")).click();
    await (await page.find("button", "Delete")).click();
    await page.reads("This subject has no consumers.");
    const gone = await mts.consumer(subject, "billing").catch((error: unknown) => error);
    expect(gone).toMatchObject({ code: "consumer_not_found" });
    await mts.close();
  });
});

describe("live", () => {
  test("a pause holds the list still, and goes on with what came", async () => {
    const subject = uniqueSubject("console.live");
    const page = await open(`#/live?filter=${subject}`);
    await page.reads("Listening");
    await publish(subject, "before-the-pause", "text/plain");
    await page.reads("before-the-pause");
    await (await page.find("button", "Pause")).click();
    await page.reads("Paused");
    await publish(subject, "within-the-pause", "text/plain");
    await page.reads("1 since the pause");
    expect(await page.text()).not.toContain("within-the-pause");
    await (await page.find("button", "Pause")).click();
    await page.reads("within-the-pause");
    await (await page.find("button", "Clear")).click();
    await page.until("nothing", "!document.body.innerText.includes('the-pause')");
  });

  test("the list stays short however many come", async () => {
    const subject = uniqueSubject("console.flood");
    const page = await open(`#/live?filter=${subject}`);
    await page.reads("Listening");
    const mts = connect(server().url);
    await mts.publishBatch(Array.from({ length: 1000 }, (_, index) => ({ subject, body: `flood-${index + 1}.` })));
    await mts.close();
    await page.reads("flood-1000.");
    await page.reads("1,000 in all");
    expect(await page.evaluate("document.querySelectorAll('tbody tr').length")).toBe(200);
  });
});

describe("events and actors", () => {
  test("events are counted by the minute, drawn, and told in a table", async () => {
    const page = await open("#/events");
    const timestamp = new Date().toISOString();
    const send = async (event_type: string, amount: number): Promise<void> => {
      const body = JSON.stringify({ user_id: "ada", event_type, amount, timestamp });
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${server().url}/events`, { method: "POST", body, headers });
      expect(response.status).toBe(201);
    };
    await send("purchase", 10.1);
    await send("purchase", 20.2);
    await send("refund", 5);
    await page.reads("35.30");
    await page.until("bars", "document.querySelectorAll('.chart .series-0, .chart .series-2').length === 2");
    await page.find("image", /^Events of the last hour, minute by minute: 3 events/);
    await (await page.find("DisclosureTriangle", "As a table")).click();
    await page.until("the table", "document.querySelector('.as-table tbody tr')?.innerText.includes('35.30')");
    await (await page.find("button", "Amount")).click();
    await page.find("image", /an amount of 35\.30/);
    await page.reads("refund-1");
  });

  test("an actor shows how far it is, and begins anew after a question", async () => {
    const page = await open("#/actors");
    await (await page.find("link", "metrics")).click();
    await page.reads("events.*");
    await page.reads("running");
    await (await page.find("button", "Rebuild metrics")).click();
    const buttons = await page.find("button", "Rebuild");
    await buttons.click();
    await page.until("another generation", "/Generation\\s+2/.test(document.body.innerText)");
  });
});
