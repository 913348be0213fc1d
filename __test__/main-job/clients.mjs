// Raw WebSocket clients that take part in a test from a process of their own: they subscribe, keep what they get, and
// tell it to the process that started them.
import { createHash } from 'node:crypto';
import { WebSocket } from 'ws';

const [url, count, symbol, exchange] = process.argv.slice(2);

class Client {
  values = [];
  sequences = [];
  others = [];

  constructor() {
    this.webSocket = new WebSocket(url);
    this.subscribed = new Promise((resolve, reject) => {
      this.webSocket.once('error', reject);
      this.webSocket.once('open', () => {
        this.webSocket.send(JSON.stringify({ action: 'subscribe', symbol, exchange, mode: 'LTP' }));
      });
      this.webSocket.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'subscribe') resolve();
        else if (message.type === 'market_data') this.take(message);
        else this.others.push(message);
      });
    });
  }

  take({ symbol: of, data, seq }) {
    if (of !== symbol) this.others.push(of);
    this.values.push(data.ltp);
    this.sequences.push(seq);
  }

  report() {
    return {
      count: this.values.length,
      digest: createHash('sha256').update(this.values.join()).digest('hex'),
      increasing: this.sequences.every((seq, index) => index === 0 || seq > this.sequences[index - 1]),
      others: this.others,
    };
  }
}

const clients = Array.from({ length: Number(count) }, () => new Client());
await Promise.all(clients.map(({ subscribed }) => subscribed));
process.send({ subscribed: clients.length });

process.on('message', (question) => {
  if (question === 'counts') process.send({ counts: clients.map(({ values }) => values.length) });
  if (question === 'reports')
    process.send({ reports: clients.map((client) => client.report()), values: clients[0].values });
});
process.once('disconnect', () => process.exit());
