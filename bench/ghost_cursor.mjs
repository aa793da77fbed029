/**
 * Ghost cursor: bots in a real Chromium whose pointer is moved by ghost-cursor, through the waiting page's own check.
 *
 *     node ghost_cursor.mjs SITE ROOM_PATH CHROMIUM PLACES AGENT
 *
 * AGENT is `plain` (as puppeteer starts it: it calls itself HeadlessChrome) or `patched` (the word is taken out). Each
 * place is a browser context of its own. Writes one JSON line each: lanes before and after, number, reasons, seconds.
 */

import { createCursor } from "ghost-cursor";
import puppeteer from "puppeteer-core";

const [site, room, executablePath, places, agent] = process.argv.slice(2);
const PATIENCE_MS = 60_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const browser = await puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
const userAgent = (await browser.userAgent()).replace("Headless", "");

const ticket = (page) => page.evaluate((path) => fetch(path).then((answer) => answer.json()), `${room}/ticket`);

/** Take one place, move to the offer, press it, and wait until the page leads back. */
async function take() {
  const begun = performance.now();
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  if (agent === "patched") await page.setUserAgent({ userAgent });
  await page.goto(`${site}/`, { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#prove:not([hidden])").catch(() => null);
  const before = await ticket(page);
  const receipt = await page.evaluate((path) => fetch(path).then((answer) => answer.text()), `${room}/receipt`);
  const told = JSON.parse(Buffer.from(receipt.split(".")[1] ?? "", "base64url").toString() || "{}");
  let after = before;
  if (before.lane === "suspect") {
    await createCursor(page).click("#prove");
    for (const until = performance.now() + PATIENCE_MS; after.lane === "suspect" && performance.now() < until;) {
      await sleep(250);
      // The page is on its way to the check or back while it cannot be asked.
      after = await ticket(page).catch(() => after);
    }
  }
  const seconds = (performance.now() - begun) / 1000;
  console.log(JSON.stringify({
    before: before.lane, after: after.lane, same: before.number === after.number, reasons: told.reasons ?? [], seconds,
  }));
  await context.close();
}

try {
  for (let place = 0; place < Number(places); place += 1) await take();
} finally {
  await browser.close();
}
