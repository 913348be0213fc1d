import type { MarketData } from '../../src/message.ts';
import { SharedMemoryPublisher } from '../../src/shm/publisher.ts';
import { type Figures, middle } from './figures.ts';
import { SHAPES, SYMBOLS, batch } from './ticks.ts';

/** Calls that are timed together: few, so that the median is of blocks that nobody interrupted. */
const BLOCK = 1024;

/** Median ns of one of `count` calls, in blocks. */
function nsEach(count: number, call: (i: number) => void, block = BLOCK): number {
  const blocks: number[] = [];
  for (let done = 0; done < count; done += block) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < block; i++) call(i);
    blocks.push(Number(process.hrtime.bigint() - start) / block);
  }
  return middle(blocks);
}

/** Publishing from JavaScript, beside the JSON and ZeroMQ that OpenAlgo's adapters use. */
export async function measurePublish(figures: Figures, quick: boolean): Promise<void> {
  const calls = quick ? 300_000 : 1_000_000;
  const publisher = new SharedMemoryPublisher({ name: `bench-${process.pid}` }).start();
  try {
    for (const [shape, data] of Object.entries(SHAPES)) {
      const one = nsEach(calls, (i) => publisher.publishMarketData(SYMBOLS[i & 63]!, data));
      figures.add('own', `JavaScript publish, ${shape}`, 'ns', one);
      const ticks = batch(data);
      const many = nsEach(calls / 64, () => publisher.publishBatch(ticks), BLOCK / 64) / ticks.length;
      figures.add('own', `JavaScript publishBatch of 64, ${shape}`, 'ns', many);
    }
    for (const [shape, publish] of Object.entries(throughHandles(publisher))) {
      figures.add('own', `JavaScript publish through a topic handle, ${shape}`, 'ns', nsEach(calls, publish));
    }
  } finally {
    publisher.cleanup();
  }
  await measureZeroMq(figures, calls);
  for (const shape of Object.keys(SHAPES)) {
    figures.addRatio(
      `ratio: JSON + ZeroMQ to publish, ${shape}`,
      `JSON.stringify + ZeroMQ send, ${shape}`,
      `JavaScript publish, ${shape}`,
    );
  }
}

/** A call for each kind of tick, one handle a symbol. */
function throughHandles(publisher: SharedMemoryPublisher): Record<keyof typeof SHAPES, (i: number) => void> {
  const topics = SYMBOLS.map((symbol) => publisher.topic(symbol, 'NSE'));
  const { volume, ltt, timestamp } = SHAPES.LTP;
  const { type: _, ...quote } = SHAPES.quote;
  const { type: __, ...depth } = SHAPES['depth 5'];
  return {
    LTP: (i) => topics[i & 63]!.ltp(2875.35 + (i & 63), { volume, ltt, timestamp }),
    quote: (i) => topics[i & 63]!.quote(quote),
    'depth 5': (i) => topics[i & 63]!.depth(depth),
  };
}

async function measureZeroMq(figures: Figures, calls: number): Promise<void> {
  const { Publisher, Subscriber } = await import('zeromq');
  const socket = new Publisher({ sendHighWaterMark: 0 });
  await socket.bind('tcp://127.0.0.1:*');
  const reader = new Subscriber();
  reader.connect(socket.lastEndpoint!);
  reader.subscribe();
  const drained = (async () => {
    for await (const _ of reader) void _;
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  try {
    for (const [shape, data] of Object.entries(SHAPES)) {
      const text = (i: number, tick: MarketData): string => JSON.stringify({ ...tick, symbol: SYMBOLS[i & 63] });
      figures.add(
        'peer',
        `JSON.stringify alone, ${shape}`,
        'ns',
        nsEach(calls / 10, (i) => text(i, data)),
      );
      const blocks: number[] = [];
      for (let done = 0; done < calls / 20; done += 128) {
        const start = process.hrtime.bigint();
        for (let i = 0; i < 128; i++) await socket.send([`NSE_${SYMBOLS[i & 63]}_LTP`, text(i, data)]);
        blocks.push(Number(process.hrtime.bigint() - start) / 128);
      }
      figures.add('peer', `JSON.stringify + ZeroMQ send, ${shape}`, 'ns', middle(blocks));
    }
  } finally {
    reader.close();
    socket.close();
    await drained.catch(() => undefined);
  }
}
