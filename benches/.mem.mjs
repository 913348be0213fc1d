import { WebSocketProxy, LockFreeRingBuffer } from '../dist/index.js';
import { WebSocket } from 'ws';
import v8 from 'node:v8';
const ring='mem_'+process.pid;
const p = new WebSocketProxy({port:0, log:'silent', ring:{name:ring}});
await p.start();
const { Worker } = await import('node:worker_threads');
const w = new Worker(`
const { parentPort, workerData } = require('node:worker_threads');
const { WebSocket } = require('ws');
(async () => {
for (let r=0;r<workerData.rounds;r++){
  const ws = new WebSocket(workerData.url);
  await new Promise(x=>ws.once('open',x));
  const symbols=Array.from({length:10000},(_,i)=>({exchange:'NSE',symbol:'X'+r+'-'+i}));
  ws.send(JSON.stringify({action:'subscribe',symbols,mode:1}));
  await new Promise(x=>ws.once('message',x));
  parentPort.postMessage('sub');
  await new Promise(x=>setTimeout(x,300));
  ws.send(JSON.stringify({action:'unsubscribe',symbols}));
  await new Promise(x=>ws.once('message',x));
  parentPort.postMessage('unsub');
  ws.close();
  await new Promise(x=>setTimeout(x,100));
}
parentPort.postMessage('done');
})();
`, { eval: true, workerData: { url: p.address().url, rounds: Number(process.argv[2]??3) } });
const mb = (n)=>(n/1e6).toFixed(0);
const show=(what)=>{const m=process.memoryUsage(); const h=v8.getHeapStatistics(); console.log(what,'rss',mb(m.rss),'heapTotal',mb(m.heapTotal),'used',mb(m.heapUsed),'ext',mb(m.external),'ab',mb(m.arrayBuffers),'malloced',mb(h.malloced_memory))};
show('start');
await new Promise(r=>w.on('message',m=>{show(m); if(m==='done') r();}));
if (global.gc) { gc(); show('gc'); }
await w.terminate();
await p.stop();
for (const n of [ring, ring+'.interest', ring+'.events']) LockFreeRingBuffer.unlink(n);
