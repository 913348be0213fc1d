import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProxyOptions } from '../proxy/options.ts';
import { wholeNumber } from './option-values.ts';

/** The values of {@link addMarketOptions}. */
export interface MarketFlags {
  marketHours?: string;
  marketHolidays?: readonly string[];
  marketTimeZone?: string;
  openingGrace?: number;
}

/** `--market-hours` and what belongs to it. */
export function addMarketOptions(command: Command): Command {
  return command
    .option(
      '--market-hours <sessions>',
      'when ticks are expected, as "Mon-Fri 09:00-15:30, 2026-11-08 18:00-19:15" (default: at any time)',
    )
    .addOption(
      new Option(
        '--market-holidays <dates>',
        'days without sessions, as 2026-11-25,2026-12-25, or a file with a date a line',
      ).argParser(datesOf),
    )
    .option('--market-time-zone <name>', 'where the market’s clock is (default: Asia/Kolkata)')
    .addOption(
      new Option(
        '--opening-grace <ms>',
        'how long ticks may fail to come after the market has opened (default: 60000)',
      ).argParser(wholeNumber(0, 2 ** 31 - 1)),
    );
}

/** The flags as options of a proxy. */
export function marketOptionsOf({
  marketHours,
  marketHolidays,
  marketTimeZone,
  openingGrace,
}: MarketFlags): ProxyOptions {
  return {
    ...(marketHours === undefined ? {} : { marketHours }),
    ...(marketHolidays === undefined ? {} : { marketHolidays }),
    ...(marketTimeZone === undefined ? {} : { marketTimeZone }),
    ...(openingGrace === undefined ? {} : { openingGrace }),
  };
}

/** Dates as they stand, or those of a file, where words behind a date and lines that begin with # are comments. */
function datesOf(text: string): string[] {
  if (/^[\d\s,-]*$/.test(text)) return text.split(/[\s,]+/).filter((date) => date !== '');
  try {
    const lines = readFileSync(text, 'utf8').split('\n');
    return lines.flatMap((line) => line.trim().split(/[\s,;]/)[0] || []).filter((date) => !date.startsWith('#'));
  } catch (error) {
    throw new InvalidArgumentError(
      `It must be dates such as 2026-11-25, separated by commas, or a file of them: ${(error as Error).message}.`,
    );
  }
}
