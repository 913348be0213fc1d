import { readFileSync } from 'node:fs';

/** What a snippet needs to have around it. */
export type Need = 'proxy' | 'feed' | 'openalgo' | 'running' | 'client';

/**
 * A snippet of a guide. Its first line says how it is run: `run` to its end, which must be exit code 0 (`code=any` for
 * any), or `until="a text"` appears in its output; `with=proxy,feed` says what runs beside it, `with=openalgo` that
 * there is a checkout of OpenAlgo, `with=openalgo,running,client` that this runs there and a client has subscribed.
 */
export interface Snippet {
  guide: string;
  /** Line of the guide, from 1. */
  line: number;
  language: string;
  code: string;
  isRun: boolean;
  until: string | undefined;
  anyExitCode: boolean;
  needs: readonly Need[];
}

const FENCE = /^```(\w+)([^\n]*)\n([^]*?)^```$/gm;

/** All snippets of a guide. */
export function snippetsOf(guide: string): Snippet[] {
  const text = readFileSync(guide, 'utf8');
  return Array.from(text.matchAll(FENCE), ({ index, 1: language, 2: how, 3: code }) => ({
    guide,
    line: text.slice(0, index).split('\n').length,
    language: language!,
    code: code!,
    isRun: / run\b/.test(how!),
    until: /until="([^"]+)"/.exec(how!)?.[1],
    anyExitCode: how!.includes('code=any'),
    needs: (/with=(\S+)/.exec(how!)?.[1]?.split(',') ?? []) as Need[],
  }));
}
