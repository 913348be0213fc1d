import Table from 'cli-table3';
import type { StatsReport } from '../proxy/schemas.ts';
import { colours } from './colours.ts';
import { bytes, count, counted, duration } from './figures.ts';
import type { RingReport } from './ring-figures.ts';

const CHARS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '  ',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** The figures of a ring for people to read. */
export function ringScreen({ ring, publishers, subscribers }: RingReport | StatsReport): string {
  if (ring === null) return 'ring     cannot be looked at now; the proxy attaches again by itself';
  const shape = `${ring.policy}, ${ring.lanes_used} of ${ring.lanes} lanes used, ${count(ring.capacity)} lines and ${count(ring.topics)} topics a lane, depth ${ring.depth_levels}, ${bytes(ring.bytes)}`;
  const lines = [
    `${colours.bold('ring')}  ${ring.name} (${shape})${ring.attached ? '' : colours.yellow(' removed or replaced')}`,
  ];
  lines.push('', colours.bold('publishers'));
  lines.push(
    table(
      ['name', 'process', 'published', 'rate', 'rejected', 'topics', 'publish takes', 'last tick'],
      publishers.map((lane) => [
        lane.alive ? lane.name : colours.dim(`${lane.name} (gone)`),
        String(lane.pid),
        count(lane.messages_published),
        'rate' in lane ? `${count(lane.rate)}/s` : '',
        count(lane.messages_rejected),
        lane.topics_refused > 0
          ? colours.yellow(`${count(lane.topics)} (${count(lane.topics_refused)} refused)`)
          : count(lane.topics),
        lane.avg_latency_ns === 0 ? '' : duration(lane.avg_latency_ns),
        lane.last_publish_age_ms === null ? 'none yet' : `${duration(lane.last_publish_age_ms * 1e6)} ago`,
      ]),
    ) || '  none yet',
  );
  lines.push('', colours.bold('readers'));
  lines.push(
    table(
      ['name', 'process', 'received', 'lost', 'lag', 'p50', 'p99', 'p99.9'],
      subscribers.map((reader) => [
        reader.name,
        String(reader.pid),
        count(reader.messages_received),
        reader.messages_lost > 0 ? colours.yellow(count(reader.messages_lost)) : '0',
        count(reader.lag),
        ...(reader.latency_ns === undefined ? ['', '', ''] : latencies(reader.latency_ns)),
      ]),
    ) || '  none',
  );
  return lines.join('\n');
}

/** The figures of a proxy for people to read. */
export function proxyScreen(url: string, report: StatsReport): string {
  const { clients, subscriptions, messages, refused, memory, event_loop_delay_ms: delay } = report;
  const [p50, p99, p999] = latencies(report.delivery_latency_ns);
  return `${colours.bold('proxy')} ${url}, up ${duration(report.uptime_seconds * 1e9)}, ${bytes(memory.rss)} of memory, event loop late p99 ${delay.p99.toFixed(1)} ms

${ringScreen(report)}${threadsTable(report)}

${colours.bold('clients')}  ${count(clients.connected)} now, ${count(clients.connected_total)} since the start, ${count(clients.conflated)} behind; ${counted(subscriptions.total, 'subscription')} to ${counted(subscriptions.topics, 'topic')}
${colours.bold('sent')}     ${counted(messages.sent, 'tick')}, ${count(messages.conflated)} conflated; publish to socket p50 ${p50}, p99 ${p99}, p99.9 ${p999}
${colours.bold('refused')}  ${refusals(refused)}`;
}

/** Nothing if there is one thread alone, which has never failed. */
function threadsTable({ threads }: StatsReport): string {
  const restarts = threads.reduce((sum, thread) => sum + thread.restarts, 0);
  if (threads.length < 2 && restarts === 0) return '';
  const rows = threads.map((thread) => [
    thread.name,
    count(thread.clients),
    count(thread.audiences),
    count(thread.sent),
    count(thread.conflated),
    ...latencies(thread.delivery_latency_ns),
    count(thread.restarts),
  ]);
  const head = ['name', 'clients', 'audiences', 'sent', 'conflated', 'p50', 'p99', 'p99.9', 'restarts'];
  return `\n\n${colours.bold('threads')}\n${table(head, rows)}`;
}

function latencies({
  count: measured,
  p50,
  p99,
  p999,
}: {
  count: number;
  p50: number;
  p99: number;
  p999: number;
}): string[] {
  return measured === 0 ? ['–', '–', '–'] : [duration(p50), duration(p99), duration(p999)];
}

function refusals({ total, ...reasons }: StatsReport['refused']): string {
  const seen = Object.entries(reasons).filter(([, times]) => times > 0);
  return total === 0 ? 'nothing' : seen.map(([reason, times]) => `${reason} ${count(times)}`).join(', ');
}

function table(head: string[], rows: string[][]): string {
  if (rows.length === 0) return '';
  const drawn = new Table({
    chars: CHARS,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    head: head.map((text) => colours.dim(text)),
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
  });
  drawn.push(...rows);
  return drawn.toString();
}
