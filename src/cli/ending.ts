/** Exit code of a process that Ctrl-C ended at once. */
const INTERRUPTED = 130;

/** npm passes Ctrl-C on to a process that has it from the terminal already: two within this time, ms, are one. */
const SAME_KEY_MS = 1000;

let ending: AbortController | undefined;

/**
 * Aborted when this process shall end: Ctrl-C, SIGTERM, a closed terminal, or the end of the process that started
 * it. A second Ctrl-C ends it at once.
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
    if (now - interruptedAt > SAME_KEY_MS) process.exit(INTERRUPTED);
    end();
  });
  process.on('SIGTERM', end);
  process.on('SIGHUP', end);
  if (process.send !== undefined) {
    process.once('disconnect', end);
    process.channel?.unref();
  }
  return controller.signal;
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

/** Tells the process that started this one, if one of this program did, that the work has begun. */
export function reportReady(details: object = {}): void {
  process.send?.({ ready: details });
}
