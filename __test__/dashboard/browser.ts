import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Chromium on this machine: `CHROMIUM_PATH`, or where distributions put it; undefined if there is none. */
export const CHROMIUM = [process.env['CHROMIUM_PATH'] ?? '', ...PLACES].find((path) => path !== '' && existsSync(path));

/** A page, and everything that went wrong in it. */
export interface WatchedPage {
  page: Page;
  /** Uncaught errors, errors on the console, what the policy refused, and requests to other servers. */
  troubles: string[];
}

/** A real browser. */
export class Chromium {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(): Promise<Chromium> {
    return new Chromium(await chromium.launch({ executablePath: CHROMIUM ?? '', args: FLAGS }));
  }

  /** Opens a page in a profile of its own. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<WatchedPage> {
    const context = await this.#browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const troubles: string[] = [];
    const { origin } = new URL(url);
    page.on('pageerror', (error) => troubles.push(String(error.stack)));
    page.on('console', (message) => {
      // A server that is gone for a moment is reported by the browser itself.
      if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket|401/.test(message.text())) {
        troubles.push(message.text());
      }
    });
    page.on('request', (request) => {
      if (!request.url().replace(/^ws/, 'http').startsWith(origin)) troubles.push(`external: ${request.url()}`);
    });
    await page.goto(url);
    return { page, troubles };
  }

  async stop(): Promise<void> {
    await this.#browser.close();
  }
}
