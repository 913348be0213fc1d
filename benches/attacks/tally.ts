/** Counts by label: answers, close codes, HTTP codes. */
export type Counts = Record<string, number>;

/** What an attacker got, and what it did. */
export class Tally {
  readonly answers: Counts = {};
  readonly done: Counts = {};

  /** Counts an answer of the server, or that there was none. */
  answer(label: string): void {
    this.answers[label] = (this.answers[label] ?? 0) + 1;
  }

  /** Counts what the attacker did. */
  did(what: string, times = 1): void {
    this.done[what] = (this.done[what] ?? 0) + times;
  }
}

/** A request that was not answered. */
export const NO_ANSWER = 'no answer';
/** A connection that had to be closed by the server and was not. */
export const NOT_CLOSED = 'not closed';

/**
 * The label of a text message: its error code, or its type, with its status unless that is success.
 *
 * @param text the beginning of the message.
 */
export function labelOf(text: string): string {
  const field = (name: string): string | undefined => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1];
  const [type = 'message', status] = [field('type'), field('status')];
  const code = /^\{"type":"[^"]*","status":"error","code":"([^"]*)"/.exec(text)?.[1];
  if (code !== undefined) return code;
  return status === undefined || status === 'success' ? type : `${type} ${status}`;
}
