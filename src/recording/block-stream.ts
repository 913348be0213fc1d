import { readBlock, type Block } from './block-reader.ts';
import type { RecordingContents } from './contents.ts';
import { Damage } from './damage.ts';
import { BLOCK_SHAPE } from './format.ts';
import { FrameScanner, type Part } from './frame-scanner.ts';

/** The sound blocks of a stream; what else is in it is counted. */
export class BlockStream {
  readonly #contents: RecordingContents;
  readonly #damage: Damage;
  readonly #scanner = new FrameScanner(BLOCK_SHAPE);
  #end = 0;

  constructor(contents: RecordingContents) {
    this.#contents = contents;
    this.#damage = new Damage(contents);
  }

  *push(bytes: Buffer): Generator<Block> {
    for (const part of this.#scanner.push(bytes)) yield* this.#blockOf(part);
  }

  /** The blocks of what is left: none of them goes on in what is pushed next. */
  *flush(): Generator<Block> {
    for (const part of this.#scanner.end()) yield* this.#blockOf(part);
  }

  /** The same, where what is no block belongs to a damage that is counted elsewhere. */
  *cut(): Generator<Block> {
    yield* this.flush();
    this.#damage.drop();
  }

  /** The same at the end of the stream. */
  *end(): Generator<Block> {
    yield* this.flush();
    this.#damage.endOfStream(this.#end);
  }

  *#blockOf(part: Part): Generator<Block> {
    const { at, bytes } = part;
    this.#end = at + bytes.length;
    const block = part.kind === 'frame' ? readBlock(bytes) : undefined;
    if (block === undefined) {
      // A sound checksum says how long a block is, even one that makes no sense.
      const header = part.kind === 'frame' ? { end: this.#end, ticks: undefined } : part.header;
      if (header !== undefined) this.#damage.header(at, header);
      this.#damage.passOver(bytes.length);
      return;
    }
    this.#damage.end(at);
    this.#contents.blocks++;
    this.#contents.ticks += block.ticks.length;
    this.#contents.lost += block.lost;
    yield block;
  }
}
