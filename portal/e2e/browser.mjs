// A real browser before a real plane: how tests get in, look at pages and judge them.
import { AxeBuilder } from '@axe-core/playwright';
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { env } = process;

/** Where the plane is, and who is let in. `e2e/run` says so. */
export const plane = {
  url: required('ORBIT_E2E_URL'),
  token: required('ORBIT_E2E_TOKEN'),
  namespace: env.ORBIT_E2E_NAMESPACE ?? 'shop',
  archives: required('ORBIT_E2E_ARCHIVES').split(','),
};

const output = new URL('./output/', import.meta.url).pathname;
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** The ways that every page is looked at; ORBIT_E2E_LOOKS names some of them, or `none`. */
const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1360, height: 860 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1360, height: 860 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
];

function required(name) {
  const value = env[name];
  if (!value) {
    throw new Error(`${name} is not set: run e2e/run, which starts a plane and sets it`);
  }
  return value;
}

export function launch() {
  return chromium.launch({
    executablePath: env.ORBIT_E2E_CHROMIUM ?? '/usr/bin/chromium',
    // Chromium's own sandbox does not work as root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
}

/** A window of a person's own: what goes wrong in it, and whatever its pages ask of other hosts, is kept. */
export async function open(browser) {
  const context = await browser.newContext({
    viewport: LOOKS[0].viewport,
    reducedMotion: 'reduce',
    acceptDownloads: true,
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  const elsewhere = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // Refusals of the plane are shown on the page; the browser tells of them besides.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      faults.push(message.text());
    }
  });
  const foreign = (url) => url.startsWith('http') && new URL(url).origin !== plane.url;
  page.on('request', (request) => {
    // An identity provider's own pages may ask whom they like.
    if (foreign(request.url()) && !request.isNavigationRequest() && !foreign(page.url())) {
      elsewhere.push(request.url());
    }
  });
  return { context, page, faults, elsewhere };
}

/** In the page: what was just changed about it is drawn, and all that moves and ends has ended. */
async function settled() {
  const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  await drawn();
  const moving = document.getAnimations().filter((each) => each.effect?.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(moving.map((each) => each.finished));
  await drawn();
}

/** Looks at the page in light, in dark and on a phone: a picture of each, and no finding of axe in any. */
export async function judge(page, name) {
  mkdirSync(output, { recursive: true });
  for (const look of LOOKS.filter((each) => (env.ORBIT_E2E_LOOKS ?? each.name).split(',').includes(each.name))) {
    await page.emulateMedia({ colorScheme: look.colorScheme });
    await page.setViewportSize(look.viewport);
    await page.evaluate(settled);
    await page.screenshot({ path: `${output}${name}-${look.name}.png`, fullPage: true });
    const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
    const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')}`));
    assert.deepEqual(found, [], `${name}, ${look.name}`);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${name}, ${look.name}: ${beyond} px beyond the edge`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(LOOKS[0].viewport);
}
