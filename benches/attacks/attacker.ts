// One attack, in a process of its own.
import { ATTACKS } from './catalog.ts';
import { answerCalls } from './harness-process.ts';
import type { Counts } from './tally.ts';
import { type AttackSetup, Target } from './target.ts';

/** What the attacker did, and what it was answered. */
export interface Attempt {
  done: Counts;
  answers: Counts;
}

answerCalls({
  attack: async (setup: AttackSetup): Promise<Attempt> => {
    const target = new Target(setup);
    const attack = ATTACKS.find(({ name }) => name === setup.name)!;
    await attack.run(target);
    target.leaveAll();
    const { done, answers } = target.tally;
    return { done, answers };
  },
});
