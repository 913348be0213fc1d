import type { FastifyBaseLogger } from 'fastify';

/** Origins that are remembered: a hostile page can make up as many as it likes. */
const MOST_REMEMBERED = 100;
/** Characters of one that are shown. */
const MOST_CHARACTERS = 200;

const ADVICE = {
  origin: 'a page of this origin was refused: if it may connect, add it to the option origins (--origins)',
  host: 'a request to this Host was refused, since it is no name of this machine: if it may be called so, add its origin, like https://app.example.com, to the option origins (--origins)',
};

/** Tells the log of each origin, or Host, that was refused: once, since a page that is refused tries again and again. */
export class RefusedOrigins {
  readonly #log: FastifyBaseLogger;
  readonly #known = new Set<string>();

  constructor(log: FastifyBaseLogger) {
    this.#log = log;
  }

  note(kind: keyof typeof ADVICE, value: string): void {
    const text = shown(value);
    const entry = `${kind} ${text}`;
    if (this.#known.size >= MOST_REMEMBERED || this.#known.has(entry)) return;
    this.#known.add(entry);
    this.#log.info({ [kind]: text }, ADVICE[kind]);
    if (this.#known.size < MOST_REMEMBERED) return;
    this.#log.info({ origins: MOST_REMEMBERED }, 'further origins that are refused are only counted, in /stats');
  }
}

/** A value from a request as it may be shown: shortened, and nothing in it that a terminal would act on. */
export function shown(value: string): string {
  const short = value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}…` : value;
  return short.replace(/[^\x20-\x7e…]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
