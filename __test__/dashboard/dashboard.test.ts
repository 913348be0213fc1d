import { randomBytes } from 'node:crypto';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Tick } from '../../src/message.ts';
import { WebSocketProxy, type WebSocketProxyOptions } from '../../src/proxy/websocket-proxy.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { LockFreeRingBuffer } from '../../src/shm/ring-buffer.ts';
import { CHROMIUM, Chromium, type WatchedPage } from './browser.ts';

const KEY = 'a-secret-key-of-some-length';
const HOSTILE = '<img src=x onerror=alert(1)>';
const PATIENCE = { timeout: 30_000, interval: 10 };
const TEXT = (id: string) => `#${id}`;
const LAST = (symbol: string) => `tr[data-key="NSE:${symbol}"] .last`;

describe.skipIf(CHROMIUM === undefined)(
  'the dashboard in Chromium (apt-get install chromium, or CHROMIUM_PATH)',
  () => {
    let browser: Chromium;
    let ring = '';
    let port = 0;
    let proxy: WebSocketProxy;
    let publisher: SharedMemoryPublisher;
    let market: NodeJS.Timeout;
    let price = 1000;
    const opened: WatchedPage[] = [];

    beforeAll(async () => {
      browser = await Chromium.start();
    });
    afterAll(() => browser.stop());

    beforeEach(async () => {
      ring = `test_dashboard_${process.pid}_${randomBytes(3).toString('hex')}`;
      port = 0;
      await startProxy();
      publisher = new SharedMemoryPublisher({ name: ring, publisherName: 'zerodha' }).start();
      price = 1000;
      publishRound();
      market = setInterval(publishRound, 20);
    });
    afterEach(async () => {
      clearInterval(market);
      for (const { page } of opened.splice(0)) await page.context().close();
      publisher.stop();
      await proxy.stop();
      LockFreeRingBuffer.unlink(ring);
    });

    async function startProxy(options: WebSocketProxyOptions = {}): Promise<void> {
      proxy = await new WebSocketProxy({ port, log: 'silent', ...options, ring: { name: ring } }).start();
      port = proxy.address()?.port ?? 0;
    }

    async function open(path = '/', options = {}): Promise<WatchedPage> {
      const watched = await browser.open(`http://127.0.0.1:${port}${path}`, options);
      opened.push(watched);
      return watched;
    }

    /** Prices that go up by 1 with every round, of three instruments; one of them with a book. */
    function publishRound(): void {
      price += 1;
      publisher.publishBatch([...ticksAt(price)]);
    }

    function* ticksAt(ltp: number): Generator<Tick> {
      const levels = (step: number) =>
        Array.from({ length: 5 }, (_, i) => ({ price: ltp + step * (i + 1), quantity: 10 * (i + 1), orders: i + 1 }));
      const quote = { ltp, open: 900, prevClose: 1000, volume: 5000, bid: ltp - 1, ask: ltp + 1 };
      yield { symbol: 'RELIANCE', ...quote, depth: { buy: levels(-1), sell: levels(1) } };
      yield { symbol: 'TCS', ...quote };
      yield { symbol: HOSTILE, ltp };
    }

    async function watch(page: Page, query: string, symbol: string): Promise<void> {
      await page.fill('#search-input', query);
      await page.press('#search-input', 'Enter');
      await until(page, TEXT('chosen-symbol'), (text) => text === symbol);
      await until(page, '#watchlist-rows tr[aria-selected="true"] .last', (text) => text !== '–');
    }

    /** Waits until the text of an element is as it shall be. */
    async function until(page: Page, selector: string, isRight: (text: string) => boolean): Promise<void> {
      await expect.poll(async () => isRight(await textOf(page, selector)), PATIENCE).toBe(true);
    }

    const textOf = async (page: Page, selector: string): Promise<string> =>
      (await page.locator(selector).first().textContent()) ?? '';

    /** Waits until the text of an element is another, twice. */
    async function moves(page: Page, selector: string): Promise<void> {
      for (let round = 0; round < 2; round++) {
        const before = await textOf(page, selector);
        await until(page, selector, (text) => text !== before);
      }
    }

    const numberIn = async (page: Page, selector: string): Promise<number> =>
      Number((await textOf(page, selector)).replaceAll(/[^\d.-]/g, ''));

    test('finds an instrument, subscribes, and shows prices that move, the book and the chart', async () => {
      const { page, troubles } = await open();
      await watch(page, 'relia', 'RELIANCE');
      await moves(page, LAST('RELIANCE'));
      await moves(page, TEXT('chosen-ltp'));
      expect(await numberIn(page, TEXT('chosen-ltp'))).toBeGreaterThan(1000);
      await page.waitForSelector('#ladder .level.buy');
      const [sells, buys] = await Promise.all(
        ['sell', 'buy'].map((side) => page.locator(`#ladder .level.${side} .level-price`).allTextContents()),
      );
      const toNumbers = (texts: readonly string[]) => texts.map((text) => Number(text.replaceAll(',', '')));
      expect(sells).toHaveLength(5);
      const all = [...toNumbers(sells!), ...toNumbers(buys!)];
      expect(all).toEqual(all.toSorted((a, b) => b - a));
      expect(await page.textContent(TEXT('ladder-spread'))).toBe('spread 2.00');
      await expect.poll(() => page.evaluate<number>(PAINTED_PIXELS), PATIENCE).toBeGreaterThan(2000);
      expect(troubles).toEqual([]);
    });

    test('shows publishers, readers, clients, rates and latencies of the proxy', async () => {
      const { page, troubles } = await open();
      await watch(page, 'TCS', 'TCS');
      await until(page, '#publishers', (text) => text.includes('zerodha'));
      await until(page, '#readers', (text) => text.includes('proxy (this proxy)'));
      await until(page, '#clients', (text) => text.includes('127.0.0.1'));
      await until(page, '#latency-summary', (text) => text.startsWith('p50 ≤'));
      await moves(page, '#publishers td:nth-child(4)');
      await page.waitForSelector('.bucket-column[data-share="1.0000"]');
      await until(page, '#feed-state', (text) => text === 'feed ok');
      expect(await page.locator('.tile').count()).toBe(6);
      expect(troubles).toEqual([]);
    });

    test('watches something by itself when it is opened for the first time, and the same again when it is reloaded', async () => {
      const { page } = await open();
      await page.waitForSelector(LAST('TCS'));
      await page.click('tr[data-key="NSE:TCS"]');
      await page.press('tr[data-key="NSE:TCS"]', 'Delete');
      await page.waitForSelector(LAST('TCS'), { state: 'detached' });
      await page.reload();
      await moves(page, LAST('RELIANCE'));
      expect(await page.locator(LAST('TCS')).count()).toBe(0);
    });

    test('is worked with the keyboard alone', async () => {
      const { page } = await open();
      await page.waitForSelector(LAST('RELIANCE'));
      await page.keyboard.press('/');
      expect(await page.evaluate('document.activeElement.id')).toBe('search-input');
      await page.keyboard.type('nfo:something new');
      await page.waitForSelector('#search-results li');
      await page.keyboard.press('Enter');
      await until(page, TEXT('chosen-symbol'), (text) => text === 'SOMETHING NEW');
      expect(await page.textContent(TEXT('chosen-exchange'))).toBe('NFO');
      await page.locator('#watchlist-rows tr').last().focus();
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter');
      await until(page, TEXT('chosen-symbol'), (text) => text !== 'SOMETHING NEW');
      const rows = await page.locator('#watchlist-rows tr').count();
      await page.keyboard.press('Delete');
      await expect.poll(() => page.locator('#watchlist-rows tr').count(), PATIENCE).toBe(rows - 1);
    });

    test('draws once a frame, however many ticks come', async () => {
      const { page } = await open();
      await watch(page, 'TCS', 'TCS');
      clearInterval(market);
      await page.evaluate(countDrawings(LAST('TCS')));
      const last = price + 4000;
      for (let sent = 0; sent < 4000; sent += 20) {
        publisher.publishBatch(
          Array.from({ length: 20 }, () => ({ symbol: 'TCS', ltp: ++price, volume: price, open: 1 })),
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const text = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 2 }).format(last);
      await until(page, LAST('TCS'), (shown) => shown === text);
      const { drawn, frames } = await page.evaluate<{ drawn: number; frames: number }>('counts');
      // A text that is replaced may be reported as two changes: one away, one there.
      expect(drawn).toBeLessThanOrEqual(2 * (frames + 1));
      expect(drawn).toBeLessThan(2000);
      expect(drawn).toBeGreaterThan(2);
    });

    test('recovers by itself when the proxy is started again', async () => {
      const { page, troubles } = await open();
      await watch(page, 'TCS', 'TCS');
      await moves(page, LAST('TCS'));
      await proxy.stop();
      await until(page, '#connection-state', (text) => text !== 'live');
      await startProxy();
      await until(page, '#connection-state', (text) => text === 'live');
      await moves(page, LAST('TCS'));
      await moves(page, TEXT('chosen-ltp'));
      expect(troubles).toEqual([]);
    });

    test('says when the feed is gone', async () => {
      const { page } = await open();
      clearInterval(market);
      publisher.stop();
      await until(page, '#feed-state', (text) => text === 'no publisher');
      publisher.start();
    });

    test('asks for the key where the proxy needs one, and shows nothing before', async () => {
      await proxy.stop();
      await startProxy({ auth: { keys: [KEY] } });
      const { page, troubles } = await open();
      await page.waitForSelector('#key-dialog[open]');
      expect(await page.locator('#publishers tr').count()).toBe(0);
      await page.fill('#key-input', 'wrong');
      await page.press('#key-input', 'Enter');
      await until(page, '#key-error', (text) => text !== '');
      await page.fill('#key-input', KEY);
      await page.press('#key-input', 'Enter');
      await page.waitForSelector('#key-dialog[open]', { state: 'detached' });
      await watch(page, 'TCS', 'TCS');
      await moves(page, LAST('TCS'));
      await page.reload();
      await moves(page, LAST('TCS'));
      expect(await page.evaluate('document.cookie + JSON.stringify(localStorage)')).not.toContain(KEY);
      expect(troubles).toEqual([]);
    });

    test('shows names that look like markup as what they are', async () => {
      const { page, troubles } = await open();
      await watch(page, 'onerror', HOSTILE);
      expect(await page.locator('img[src="x"]').count()).toBe(0);
      expect(troubles).toEqual([]);
    });

    test('has a dark and a light theme that stay chosen', async () => {
      const { page } = await open('/', { colorScheme: 'dark' });
      const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      const dark = await background();
      await page.click('#theme-button');
      expect(await background()).toBe(dark);
      await page.click('#theme-button');
      const light = await background();
      expect(light).not.toBe(dark);
      await page.reload();
      expect(await background()).toBe(light);
    });

    test.each([
      ['a phone', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
      ['a tablet', { viewport: { width: 820, height: 1180 } }],
      ['a large screen', { viewport: { width: 2560, height: 1440 } }],
    ])('fits %s: nothing is wider than the screen', async (_what, options) => {
      const { page } = await open('/', options);
      await page.waitForSelector(LAST('RELIANCE'));
      await page.waitForSelector('#clients tr');
      const [width, screen] = await page.evaluate<[number, number]>(
        '[document.documentElement.scrollWidth, innerWidth]',
      );
      expect(width).toBeLessThanOrEqual(screen);
    });
  },
);

/** Counts the pixels of the chart that are not transparent. */
const PAINTED_PIXELS = `(() => {
  const canvas = document.querySelector('#chart canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let alpha = 3; alpha < data.length; alpha += 4) if (data[alpha] > 0) painted++;
  return painted;
})()`;

/** Begins to count frames, and changes of an element's text. */
function countDrawings(selector: string): string {
  return `globalThis.counts = { drawn: 0, frames: 0 };
    new MutationObserver((records) => (counts.drawn += records.length)).observe(
      document.querySelector(${JSON.stringify(selector)}),
      { childList: true, characterData: true, subtree: true },
    );
    (function frame() {
      counts.frames++;
      requestAnimationFrame(frame);
    })();`;
}
