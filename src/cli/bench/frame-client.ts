import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const TEXT = 0x81;
const MASKED = 0x80;
const LENGTH_IN_TWO_BYTES = 126;

/** A WebSocket client that only counts the frames it gets, so that counting costs next to nothing. */
export class FrameClient {
  /** Frames that have come. */
  frames = 0;
  readonly #socket: Socket;
  /** Bytes of the frame that is coming which are still to come. */
  #missing = 0;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(url: string): Promise<FrameClient> {
    const { hostname, port, host } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const key = randomBytes(16).toString('base64');
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    const end = answer.indexOf('\r\n\r\n') + 4;
    if (!answer.toString('latin1', 0, end).startsWith('HTTP/1.1 101'))
      throw new Error(`${url} takes no WebSocket clients`);
    const client = new FrameClient(socket);
    client.#take(answer.subarray(end));
    socket.on('data', (bytes) => client.#take(bytes));
    return client;
  }

  /** Sends a short message. */
  send(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    // A mask of zeros leaves the bytes as they are.
    const head =
      text.length < LENGTH_IN_TWO_BYTES
        ? [TEXT, MASKED | text.length]
        : [TEXT, MASKED | LENGTH_IN_TWO_BYTES, text.length >> 8, text.length & 0xff];
    this.#socket.write(Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), text]));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    let chunk = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    for (;;) {
      const skipped = Math.min(this.#missing, chunk.length);
      this.#missing -= skipped;
      chunk = chunk.subarray(skipped);
      const size = frameSize(chunk);
      if (size === undefined) break;
      this.frames++;
      this.#missing = size;
    }
    this.#rest = chunk;
  }
}

/** Bytes of the frame that begins here, header included; undefined while the header is incomplete. */
function frameSize(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const length = bytes[1]! & 0x7f;
  if (length < LENGTH_IN_TWO_BYTES) return 2 + length;
  if (length === LENGTH_IN_TWO_BYTES) return bytes.length < 4 ? undefined : 4 + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + Number(bytes.readBigUInt64BE(2));
}
