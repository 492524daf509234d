/**
 * A server, a browser, and a page of the console in it, for the tests that do what a person does.
 * @module
 */
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { Chromium } from "../browser/chromium.ts";
import type { Page } from "../browser/page.ts";

/** One browser for a whole test file; every page of it is checked when its test has ended. */
export const useConsole = (url: () => string): (() => Promise<Page>) => {
  let chromium: Chromium | undefined;
  const pages: Page[] = [];
  beforeAll(async () => {
    chromium = await Chromium.start();
  }, 30_000);
  afterEach(async () => {
    for (const page of pages.splice(0)) {
      expectQuiet(page, url());
      await page.close();
    }
  });
  afterAll(async () => {
    await chromium?.close();
  }, 30_000);
  return async () => {
    if (chromium === undefined) throw new Error("the browser is started before the first test, not earlier");
    const page = await chromium.page();
    pages.push(page);
    return page;
  };
};

/** What a browser writes of every answer of 400 and above, and of a refused token; those that a test expects are no fault. */
const refusedAnswer =
  /^(?:Failed to load resource: the server responded with a status of 4\d\d|WebSocket connection to '\S+' failed: HTTP Auth)/;

/** No request left for another host, and nothing broke: no exception, nothing that the policy stopped. */
const expectQuiet = (page: Page, url: string): void => {
  const { host } = new URL(url);
  const elsewhere = page.requests.filter((request) => !/^(?:blob|about|data):/.test(request.url));
  expect(elsewhere.filter((request) => new URL(request.url).host !== host)).toEqual([]);
  expect(page.errors.filter((error) => !refusedAnswer.test(error))).toEqual([]);
};
