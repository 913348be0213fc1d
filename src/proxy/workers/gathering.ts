import type { Part, PartKind } from './worker-place.ts';
import type { WorkerProcess } from './worker-process.ts';

/** How long workers may take to answer, ms. */
const ANSWER_MS = 1_000;

interface Question {
  waitingFor: Set<number>;
  parts: Part<PartKind>[];
  done(): void;
}

/** Questions of the primary to several workers, and the answers that have come so far. */
export class Gathering {
  readonly #questions = new Map<number, Question>();
  #asked = 0;

  /** What these workers say, without those that are not heard of in time. */
  async ask(workers: readonly WorkerProcess[], kind: PartKind): Promise<Part<PartKind>[]> {
    if (workers.length === 0) return [];
    const id = (this.#asked += 1);
    const parts: Part<PartKind>[] = [];
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, ANSWER_MS);
      const done = (): void => {
        clearTimeout(patience);
        resolve();
      };
      this.#questions.set(id, { waitingFor: new Set(workers.map(({ number }) => number)), parts, done });
      for (const worker of workers) worker.tell({ type: 'ask', id, kind });
    });
    this.#questions.delete(id);
    return parts.sort((a, b) => a.number - b.number);
  }

  /** A worker has answered. */
  take(id: number, part: Part<PartKind>): void {
    const question = this.#questions.get(id);
    if (question === undefined || !question.waitingFor.delete(part.number)) return;
    question.parts.push(part);
    if (question.waitingFor.size === 0) question.done();
  }

  /** A worker has died: nobody waits for it any more. */
  forget(number: number): void {
    for (const { waitingFor, done } of this.#questions.values()) {
      if (waitingFor.delete(number) && waitingFor.size === 0) done();
    }
  }
}
