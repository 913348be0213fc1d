import { type LevelWithSilent, type Logger, pino } from 'pino';

/** What the log contains. */
export type LogLevel = LevelWithSilent;

/** Log that waits for a reader that is slow or a disk that is full, bytes. What comes beyond it is lost. */
const MOST_WAITING = 1 << 20;

/** A log on standard error, since standard output belongs to the program. Without keys. */
export function logger(level: LogLevel = 'info'): Logger {
  return pino({ level, redact: ['req.headers["x-api-key"]', 'api_key', 'apikey'] }, standardError());
}

/** Standard error may be a full disk or a pipe that nobody reads: that costs lines of the log, and nothing else. */
function standardError(): ReturnType<typeof pino.destination> {
  const output = pino.destination({ dest: 2, sync: false, maxLength: MOST_WAITING });
  output.on('error', () => {
    // At the exit of the process it would try for ever to write what is refused.
    output.flushSync = () => {};
  });
  return output;
}
