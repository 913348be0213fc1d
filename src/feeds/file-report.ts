import { OpenAlgoShmError } from '../errors.ts';
import type { Tick } from '../message.ts';
import type { MalformedLine, RecordingOptions, RecordingProgress } from './recording.ts';

const SHOWN_CHARACTERS = 200;

/** What is found while a file is read: counts it, tells of malformed lines, and ends the reading at one if that is asked for. */
export class FileReport {
  readonly file: string;
  readonly progress: RecordingProgress;
  /** The first malformed line. */
  firstFault: MalformedLine | undefined;
  /** The deepest book that there is room for. */
  depthLevels = 0;
  readonly #options: RecordingOptions;

  constructor(file: string, progress: RecordingProgress, options: RecordingOptions) {
    this.file = file;
    this.progress = progress;
    this.#options = options;
  }

  /**
   * The tick that `read` gives for a line, or undefined where the line holds none: rightly, or because it is malformed.
   *
   * @throws OpenAlgoShmError where `strict`, `ERR_MALFORMED_LINE`; `ERR_INVALID_OPTION` where no line can be read
   *   without another option
   */
  take<Found extends Tick>(line: number, text: string, read: () => Found | undefined): Found | undefined {
    return this.attempt(line, text, () => {
      const tick = read();
      if (tick === undefined) this.progress.passedOver++;
      else this.#checkDepth(tick);
      return tick;
    });
  }

  /** What `read` gives; undefined where it throws because the line is malformed. Throws as {@link take}. */
  attempt<Found>(line: number, text: string, read: () => Found): Found | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof OpenAlgoShmError) || error.code === 'ERR_INVALID_OPTION') throw error;
      this.malformed(line, text, error.message);
      return undefined;
    }
  }

  /** @throws OpenAlgoShmError where `strict`, `ERR_MALFORMED_LINE` with the file and the line */
  malformed(number: number, wholeText: string, reason: string): void {
    this.progress.malformed++;
    const fault = { file: this.file, number, text: wholeText.slice(0, SHOWN_CHARACTERS), reason };
    this.firstFault ??= fault;
    this.#options.onMalformedLine?.(fault);
    if (this.#options.strict === true) {
      const where = `${this.file}:${number}`;
      const shown = fault.text === '' ? '' : `; the line is ${fault.text}`;
      throw new OpenAlgoShmError('ERR_MALFORMED_LINE', `${where}: ${reason}${shown}`);
    }
  }

  #checkDepth({ depth }: Tick): void {
    if (depth === undefined) return;
    const deepest = Math.max(depth.buy.length, depth.sell.length);
    if (deepest > this.depthLevels) {
      const room = `the ring has room for ${this.depthLevels}: create it with depthLevels ${deepest}`;
      throw new OpenAlgoShmError('ERR_BOOK_TOO_DEEP', `has a book of ${deepest} levels a side, ${room}`);
    }
  }
}
