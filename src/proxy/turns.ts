/**
 * Carries out work that pauses now and then: up to its first pause at once, the rest in turns of the event loop, so that
 * everything else goes on meanwhile.
 *
 * @param isEnded whether nobody wants it any more: then the work is ended in its next pause.
 * @param onEnd is called once all is done, unless that was at once; with what the work has thrown.
 * @returns whether it goes on.
 */
export function inTurns(work: Generator<void, void>, isEnded: () => boolean, onEnd: (error: unknown) => void): boolean {
  if (work.next().done) return false;
  const turn = (): void => {
    try {
      if (isEnded()) work.return();
      else if (!work.next().done) return void setImmediate(turn);
    } catch (error) {
      return onEnd(error);
    }
    onEnd(undefined);
  };
  setImmediate(turn);
  return true;
}
