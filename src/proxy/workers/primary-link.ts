import type { ToPrimary, ToWorker, WorkerOptions } from './messages.ts';
import type { Gathered, PartKind, Parts, WorkerPlace } from './worker-place.ts';

type Answer = <K extends PartKind>(kind: K) => Promise<Parts[K]>;

/** What the primary may ask of a worker beside its figures. */
export interface WorkerTasks {
  start(place: WorkerPlace, options: WorkerOptions): void;
  stop(): void;
}

/** A worker's end of the channel to its primary. */
export class PrimaryLink implements WorkerPlace {
  readonly #pending = new Map<number, (gathered: Gathered<PartKind>) => void>();
  readonly #gathering = new Map<PartKind, Promise<Gathered<PartKind>>>();
  #number = 0;
  #questions = 0;
  #answer: Answer | undefined;

  constructor(tasks: WorkerTasks) {
    process.on('message', (message: ToWorker) => this.#receive(message, tasks));
    this.tell({ type: 'hello' });
  }

  get number(): number {
    return this.#number;
  }

  tell(message: ToPrimary): void {
    if (process.connected) process.send?.(message);
  }

  answerWith(answer: Answer): void {
    this.#answer = answer;
  }

  // Who asks while an answer is under way gets the same: however often figures are fetched, the others are asked once.
  gather<K extends PartKind>(kind: K): Promise<Gathered<K>> {
    let gathering = this.#gathering.get(kind);
    if (gathering === undefined) {
      gathering = this.#ask(kind).finally(() => this.#gathering.delete(kind));
      this.#gathering.set(kind, gathering);
    }
    return gathering as Promise<Gathered<K>>;
  }

  #ask(kind: PartKind): Promise<Gathered<PartKind>> {
    const id = (this.#questions += 1);
    return new Promise((resolve) => {
      this.#pending.set(id, resolve);
      this.tell({ type: 'gather', id, kind });
    });
  }

  #receive(message: ToWorker, tasks: WorkerTasks): void {
    switch (message.type) {
      case 'start':
        this.#number = message.number;
        return tasks.start(this, message.options);
      case 'stop':
        return tasks.stop();
      case 'ask':
        return void this.#tellOfItself(message.id, message.kind);
      case 'gathered':
        this.#pending.get(message.id)?.(message.gathered);
        this.#pending.delete(message.id);
    }
  }

  async #tellOfItself(id: number, kind: PartKind): Promise<void> {
    const content = await this.#answer?.(kind);
    if (content === undefined) return;
    this.tell({ type: 'part', id, part: { number: this.#number, pid: process.pid, content } });
  }
}
