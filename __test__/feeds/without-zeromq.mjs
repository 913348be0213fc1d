// The feed of OpenAlgo's bus where nobody has installed the package zeromq.
import { register } from 'node:module';

const missing = `export function resolve(name, context, next) {
  if (name === 'zeromq') throw new Error("Cannot find package 'zeromq'");
  return next(name, context);
}`;
register(`data:text/javascript,${encodeURIComponent(missing)}`);
const { ZmqFeed } = await import('../../dist/feeds/zmq.js');
await new ZmqFeed({ name: process.argv[2] }).start().done.catch(({ code, message }) => console.log(code, message));
