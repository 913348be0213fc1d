import { isLoopback } from './addresses.ts';

/** New keys of one address that are being checked at the same time. */
const MOST_OF_ADDRESS = 4;
/** New keys of all addresses together. */
const MOST = 64;

/** A key is not checked, since too many are being checked already; it may be later. */
export class TooManyKeyChecks extends Error {
  override readonly name = 'TooManyKeyChecks';
}

/**
 * Bounds the new keys that are being checked at the same time: a check costs its server far more than a guess costs
 * whoever sends it. This machine's own addresses have only the bound of all, since behind a local reverse proxy all
 * clients have those.
 */
export class KeyCheckLimits {
  readonly #perAddress = new Map<string, number>();
  #total = 0;

  /**
   * Begins a check.
   *
   * @returns a function that ends it, to be called once.
   * @throws {TooManyKeyChecks}
   */
  begin(address: string): () => void {
    const ofAddress = this.#perAddress.get(address) ?? 0;
    if (this.#total >= MOST || (ofAddress >= MOST_OF_ADDRESS && !isLoopback(address))) {
      throw new TooManyKeyChecks('Too many API keys are being checked; try again');
    }
    this.#total += 1;
    this.#perAddress.set(address, ofAddress + 1);
    return () => this.#end(address);
  }

  #end(address: string): void {
    this.#total -= 1;
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
  }
}
