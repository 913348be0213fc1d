import { createGunzip, type Gunzip } from 'node:zlib';

/** What gzip makes of a stream: bytes of it, or so many compressed ones of which nothing more could be made. */
export type Unzipped =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'passed over'; readonly bytes: number };

type Outcome = 'more' | 'ended' | 'failed';

/** A gzip member begins so, with the only method that there is. */
const MAGIC = Buffer.of(0x1f, 0x8b, 0x08);
/** Bytes that are given to zlib at once: what these would have given is lost with an error among them. */
const SLICE = 8192;
/** Places of this many that may begin a member, in a stretch without any, are tried; further ones only now and then. */
const TRIES = 64;
const BYTES_A_TRY = 4096;

/** Undoes gzip, of one member or many, and goes on at the next one behind a damage. */
export class GzipStream {
  #gunzip: Gunzip | undefined;
  #output: Buffer[] = [];
  /** True until the first bytes of a try were taken. */
  #isFirst = false;
  /** Compressed bytes that have given nothing sound so far. */
  #owed = 0;
  #tries = TRIES;
  #settle: (outcome: Outcome) => void = () => {};
  #rest: Buffer = Buffer.alloc(0);

  /** To be called when what came out was sound. */
  credit(): void {
    this.#owed = 0;
  }

  async *push(bytes: Buffer): AsyncGenerator<Unzipped> {
    this.#tries = Math.min(TRIES, this.#tries + bytes.length / BYTES_A_TRY);
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length > 0) {
      if (this.#gunzip === undefined) {
        const idle = this.#findMember();
        if (idle > 0) yield { kind: 'passed over', bytes: idle };
        if (this.#gunzip === undefined) break;
      }
      yield* this.#feed(this.#rest.subarray(0, SLICE));
    }
    // What is kept must outlive the bytes that were pushed.
    this.#rest = Buffer.from(this.#rest);
  }

  /** What is left, where the stream ends or something else begins. */
  async *end(): AsyncGenerator<Unzipped> {
    const rest = this.#rest.length;
    this.#rest = Buffer.alloc(0);
    const outcome = this.#gunzip === undefined ? 'more' : await this.#write();
    yield* this.#takeOutput();
    const lost = rest + (outcome === 'failed' ? this.#owed : 0);
    this.#leave();
    if (lost > 0 || outcome === 'failed') yield { kind: 'passed over', bytes: lost };
  }

  /** Goes to the next place where a member may begin. Returns the bytes before it. */
  #findMember(): number {
    const at = this.#tries < 1 ? -1 : this.#rest.indexOf(MAGIC);
    const bytes = at < 0 ? this.#rest.length - beginningAtEnd(this.#rest) : at;
    this.#rest = this.#rest.subarray(bytes);
    if (at >= 0) {
      this.#tries -= 1;
      this.#begin();
    }
    return bytes;
  }

  async *#feed(slice: Buffer): AsyncGenerator<Unzipped> {
    const before = this.#gunzip!.bytesWritten;
    const outcome = await this.#write(slice);
    const taken = outcome === 'ended' ? this.#gunzip!.bytesWritten - before : slice.length;
    if (outcome !== 'failed') this.#owed += taken;
    yield* this.#takeOutput();
    // Behind an error the next member may begin in the same slice, but not where this one did.
    const step = outcome === 'failed' ? Number(this.#isFirst) : taken;
    const lost = outcome === 'failed' ? this.#owed + step : 0;
    this.#rest = this.#rest.subarray(step);
    this.#isFirst = false;
    if (outcome !== 'more') this.#leave();
    if (outcome === 'failed') yield { kind: 'passed over', bytes: lost };
  }

  *#takeOutput(): Generator<Unzipped> {
    for (const bytes of this.#output.splice(0)) yield { kind: 'bytes', bytes };
  }

  /** Writes a slice, or the end. */
  async #write(slice?: Buffer): Promise<Outcome> {
    const gunzip = this.#gunzip!;
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (slice === undefined) gunzip.end();
      else gunzip.write(slice, (error) => resolve(error ? 'failed' : 'more'));
    });
  }

  #begin(): void {
    this.#gunzip = createGunzip()
      .on('data', (bytes: Buffer) => this.#output.push(bytes))
      .on('end', () => this.#settle('ended'))
      .on('error', () => this.#settle('failed'));
    this.#isFirst = true;
  }

  #leave(): void {
    this.#gunzip?.removeAllListeners().on('error', () => {});
    this.#gunzip?.destroy();
    this.#gunzip = undefined;
    this.#output = [];
    this.#owed = 0;
  }
}

/** Bytes at the end that may be the beginning of the magic. */
function beginningAtEnd(bytes: Buffer): number {
  for (let length = MAGIC.length - 1; length > 0; length--) {
    if (bytes.subarray(-length).equals(MAGIC.subarray(0, length))) return length;
  }
  return 0;
}
