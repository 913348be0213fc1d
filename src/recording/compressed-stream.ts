import type { Block } from './block-reader.ts';
import { BlockStream } from './block-stream.ts';
import type { RecordingContents } from './contents.ts';
import { Damage } from './damage.ts';
import { FrameScanner, type Part } from './frame-scanner.ts';
import { GzipStream, type Unzipped } from './gzip-stream.ts';
import { contentOf, MEMBER_SHAPE } from './member.ts';

/**
 * The sound blocks of a compressed recording. Its own members are told from all else, checked and inflated each for
 * itself; what is none of them is taken as gzip of any kind, such as a recording that somebody has compressed as a whole.
 */
export class CompressedStream {
  readonly #members = new FrameScanner(MEMBER_SHAPE);
  readonly #others = new GzipStream();
  readonly #blocks: BlockStream;
  readonly #damage: Damage;
  /** Where the last part that is no member of its own begins. */
  #otherAt = 0;
  /** True if it begins as one: then it holds one block, and nothing is lost that this has come out of. */
  #isSpoiltMember = false;
  /** Bytes of the last member's trailer that are to come. */
  #trailer = 0;
  #end = 0;

  constructor(contents: RecordingContents) {
    this.#blocks = new BlockStream(contents);
    this.#damage = new Damage(contents);
  }

  async *push(bytes: Buffer): AsyncGenerator<Block> {
    for (const part of this.#members.push(bytes)) yield* this.#take(part);
  }

  async *end(): AsyncGenerator<Block> {
    for (const part of this.#members.end()) yield* this.#take(part);
    for await (const unzipped of this.#others.end()) yield* this.#unzipped(unzipped);
    yield* this.#blocks.end();
    this.#damage.endOfStream(this.#end);
  }

  async *#take(part: Part): AsyncGenerator<Block> {
    this.#end = part.at + part.bytes.length;
    if (part.kind === 'frame') {
      this.#trailer = MEMBER_SHAPE.trailer;
      yield* this.#member(part.at, part.bytes);
      return;
    }
    if (part.header !== undefined) this.#trailer = 0;
    const skipped = Math.min(this.#trailer, part.bytes.length);
    this.#trailer -= skipped;
    if (skipped === part.bytes.length) return;
    this.#otherAt = part.at + skipped;
    this.#isSpoiltMember = part.header !== undefined;
    if (part.header !== undefined) this.#damage.header(part.at, part.header);
    for await (const unzipped of this.#others.push(part.bytes.subarray(skipped))) yield* this.#unzipped(unzipped);
  }

  async *#member(at: number, bytes: Buffer): AsyncGenerator<Block> {
    for await (const unzipped of this.#others.end()) yield* this.#unzipped(unzipped);
    yield* this.#blocks.flush();
    const content = await contentOf(bytes);
    if (content === undefined) {
      this.#damage.header(at, { end: this.#end + MEMBER_SHAPE.trailer, ticks: undefined });
      this.#damage.passOver(bytes.length);
      return;
    }
    this.#damage.end(at);
    yield* this.#blocks.push(content);
    yield* this.#blocks.flush();
  }

  *#unzipped(unzipped: Unzipped): Generator<Block> {
    if (unzipped.kind === 'passed over') {
      if (unzipped.bytes > 0 || !this.#isSpoiltMember) this.#damage.passOver(unzipped.bytes);
      yield* this.#blocks.cut();
      return;
    }
    for (const block of this.#blocks.push(unzipped.bytes)) {
      this.#others.credit();
      this.#damage.end(this.#otherAt);
      yield block;
    }
  }
}
