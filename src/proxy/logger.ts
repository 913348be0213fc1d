import { type LevelWithSilent, type Logger, pino } from 'pino';

/** What the log contains. */
export type LogLevel = LevelWithSilent;

/** A log on standard error, since standard output belongs to the program. Without keys. */
export function logger(level: LogLevel = 'info'): Logger {
  return pino({ level, redact: ['req.headers["x-api-key"]', 'api_key', 'apikey'] }, pino.destination(2));
}
