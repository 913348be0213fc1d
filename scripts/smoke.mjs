// Tries the built package on a system that has no more than Node: two processes, a kill, the proxy and a client.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';

const PATIENCE_MS = 60_000;
const name = process.env.SMOKE_RING ?? `smoke-${process.pid}`;
const { LockFreeRingBuffer, SharedMemoryPublisher, SharedMemorySubscriber, WebSocketProxy } =
  await import('../dist/index.js');

if (process.argv[2] === 'publish') {
  const publisher = new SharedMemoryPublisher({ name, publisherName: 'child' }).start();
  let published = 0;
  setInterval(() => publisher.publishMarketData('TCS', { ltp: 3500 + published++ }), 1);
} else {
  await smoke();
}

async function smoke() {
  const ring = new LockFreeRingBuffer({ name });
  const subscriber = new SharedMemorySubscriber({ name }).start();
  const proxy = new WebSocketProxy({ port: 0, ring: { name }, log: 'silent' });
  try {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'publish'], {
      env: { ...process.env, SMOKE_RING: name },
      stdio: 'inherit',
    });
    const { symbol, ltp } = await until(() => subscriber.poll().at(0)?.toTick());
    assert.equal(symbol, 'TCS');
    assert.ok(ltp >= 3500);
    console.log(`a tick from process ${child.pid}`);

    await proxy.start();
    const client = new WebSocket(proxy.address().url);
    await once(client, 'open');
    client.send('{"action":"subscribe","symbol":"TCS","exchange":"NSE","mode":1}');
    let frame;
    do frame = JSON.parse((await once(client, 'message'))[0]);
    while (frame.type !== 'market_data');
    assert.equal(frame.symbol, 'TCS');
    assert.equal(frame.broker, 'child');
    console.log('a frame from the proxy');
    client.terminate();

    child.kill('SIGKILL');
    await once(child, 'exit');
    await until(() => !ring.stats().publishers[0].alive);
    const successor = new SharedMemoryPublisher({ name, publisherName: 'child' }).start();
    assert.equal(successor.getStats().lane, 0);
    successor.stop();
    console.log('the lane of a killed process is free');
  } finally {
    await proxy.stop();
    subscriber.close();
    for (const found of LockFreeRingBuffer.list()) {
      if (found.name === name || found.name.startsWith(`${name}.`)) LockFreeRingBuffer.unlink(found.name);
    }
    ring.close();
  }
  console.log(`all well on ${process.platform}-${process.arch}, Node ${process.version}`);
}

async function until(found) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = found();
    if (value) return value;
    if (Date.now() > end) throw new Error('not within a minute');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
