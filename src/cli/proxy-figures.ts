import { OpenAlgoShmError } from '../errors.ts';
import type { StatsReport } from '../proxy/schemas.ts';

/** How long a proxy may take to answer, ms. */
const PATIENCE_MS = 5000;

/**
 * What a proxy says of itself at `GET /stats`.
 *
 * @throws OpenAlgoShmError `ERR_UPSTREAM` when nobody answers, or not with figures
 */
export async function fetchStats(url: string, apiKey?: string): Promise<StatsReport> {
  const response = await ask(`${url}/stats`, apiKey);
  if (response.status === 401) {
    throw new OpenAlgoShmError('ERR_UPSTREAM', `${url} asks for a key that it knows: set OPENALGO_SHM_API_KEY`);
  }
  if (!response.ok) {
    throw new OpenAlgoShmError(
      'ERR_UPSTREAM',
      `${url}/stats answers ${response.status}: it is no openalgo-shm proxy, or it refuses`,
    );
  }
  try {
    const report = (await response.json()) as Partial<StatsReport> | null;
    if (report?.clients !== undefined && report.messages !== undefined) return report as StatsReport;
  } catch (error) {
    throw noProxy(url, error);
  }
  throw noProxy(url);
}

function noProxy(url: string, cause?: unknown): OpenAlgoShmError {
  const message = `${url}/stats answers, but not with the figures of a proxy: it is no openalgo-shm proxy`;
  return new OpenAlgoShmError('ERR_UPSTREAM', message, { cause });
}

async function ask(url: string, apiKey: string | undefined): Promise<Response> {
  try {
    return await fetch(url, {
      headers: apiKey === undefined ? {} : { 'x-api-key': apiKey },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    throw new OpenAlgoShmError(
      'ERR_UPSTREAM',
      `no proxy answers at ${url}: start one with openalgo-shm serve, or read the ring itself with --ring NAME`,
      { cause: error },
    );
  }
}
