import type { Health } from '../health.ts';

/** The health of all together: what any of them misses, some of the clients miss. */
export function mergeHealth(all: readonly Health[]): Health {
  const reasons = new Map(all.flatMap((health) => health.reasons.map((reason) => [reason.code, reason])));
  const ages = all.map(({ lastTickAgeMs }) => lastTickAgeMs).filter((age) => age !== null);
  return {
    status: all.some(({ status }) => status === 'unavailable') ? 'unavailable' : 'ok',
    reasons: [...reasons.values()],
    lastTickAgeMs: ages.length === 0 ? null : Math.min(...ages),
  };
}
