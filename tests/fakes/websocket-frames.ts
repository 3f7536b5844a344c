// As much of WebSockets as the fake kubelet needs: frames of Kubernetes' channels, whose first byte
// names the stream.

const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** RFC 6455 §5.2: one final binary frame without a mask. */
export function frame(channel: number, bytes: Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), bytes]);
  const header = Buffer.alloc(payload.length < LENGTH_16 ? 2 : 4);
  header.writeUInt8(0x82, 0);
  if (payload.length < LENGTH_16) {
    header.writeUInt8(payload.length, 1);
  } else {
    header.writeUInt8(LENGTH_16, 1);
    header.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([header, payload]);
}

/** Takes what a client sends, in any pieces: masked frames, each a whole message. */
export function createFrameReader(
  onFrame: (channel: number, bytes: Buffer) => void,
): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    for (let size = frameSize(rest); size !== undefined; size = frameSize(rest)) {
      const { start, end } = size;
      const mask = rest.subarray(start - 4, start);
      const payload = Buffer.from(rest.subarray(start, end));
      for (let i = 0; i < payload.length; i++) {
        payload.writeUInt8(payload.readUInt8(i) ^ mask.readUInt8(i % 4), i);
      }
      const isBinary = (rest.readUInt8(0) & 0x0f) === 2;
      rest = rest.subarray(end);
      if (isBinary && payload.length > 0) onFrame(payload.readUInt8(0), payload.subarray(1));
    }
  };
}

/** Where the payload of the first frame begins and ends; undefined while it is not whole. */
function frameSize(data: Buffer): { start: number; end: number } | undefined {
  if (data.length < 2) return undefined;
  const short = data.readUInt8(1) & 0x7f;
  const lengthBytes = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
  const start = 2 + lengthBytes + 4;
  if (data.length < start) return undefined;
  const length =
    lengthBytes === 0
      ? short
      : data.readUIntBE(2 + Math.max(0, lengthBytes - 6), Math.min(6, lengthBytes));
  return data.length < start + length ? undefined : { start, end: start + length };
}
