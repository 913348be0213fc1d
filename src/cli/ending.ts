/** Exit code of a process that Ctrl-C ended before its work was done. */
export const INTERRUPTED = 130;

/** npm passes Ctrl-C on to a process that has it from the terminal already: two within this time, ms, are one. */
const SAME_KEY_MS = 1000;
/** What a second Ctrl-C leaves for removing what would stay behind, ms. */
const HURRY_MS = 1000;

let ending: AbortController | undefined;
const hurried = new Set<() => void>();

/**
 * Aborted when this process shall end: Ctrl-C, SIGTERM, a closed terminal, or the end of the process that started
 * it. A second Ctrl-C ends it at once, or within a second where {@link whenHurried} has something to do.
 */
export function endingSignal(): AbortSignal {
  if (ending !== undefined) return ending.signal;
  const controller = new AbortController();
  ending = controller;
  const end = (): void => controller.abort();
  let interruptedAt: number | undefined;
  process.on('SIGINT', () => {
    const now = performance.now();
    interruptedAt ??= now;
    if (now - interruptedAt > SAME_KEY_MS) hurry();
    end();
  });
  process.on('SIGTERM', end);
  process.on('SIGHUP', end);
  if (process.send !== undefined) {
    process.once('disconnect', end);
    process.channel?.unref();
    // It may have ended while this one was being loaded.
    if (!process.connected) end();
  }
  return controller.signal;
}

/** Calls back at a second Ctrl-C: for what has to be ended without asking it. */
export function whenHurried(callback: () => void): void {
  hurried.add(callback);
}

/** Ends this process as the first Ctrl-C does; false where it has nothing to end in order. */
export function endInOrder(): boolean {
  ending?.abort();
  return ending !== undefined;
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Tells the process that started this one, if one of this program did and still lives, that the work has begun. */
export function reportReady(details: object = {}): void {
  process.send?.({ ready: details }, undefined, undefined, () => {});
}

function hurry(): void {
  if (hurried.size === 0) process.exit(INTERRUPTED);
  process.exitCode = INTERRUPTED;
  for (const callback of hurried) callback();
  setTimeout(() => process.exit(INTERRUPTED), HURRY_MS).unref();
}
