'use strict';
// Length-prefixed frames: 4 bytes big-endian header length, a JSON header, a raw body. The header's
// member `body` is the body's length and is absent when there is none (see frames.py).

const fs = require('node:fs');

const { parse, stringify } = JSON;

/** The frame's bytes. */
function encode(header, body) {
  const length = body ? body.length : 0;
  const packed = Buffer.from(stringify(length ? { ...header, body: length } : header));
  const prefix = Buffer.allocUnsafe(4);
  prefix.writeUInt32BE(packed.length);
  return Buffer.concat(length ? [prefix, packed, body] : [prefix, packed]);
}

/** Write everything to a blocking descriptor. */
function writeAll(descriptor, bytes) {
  for (let sent = 0; sent < bytes.length; ) {
    sent += fs.writeSync(descriptor, bytes, sent, bytes.length - sent);
  }
}

function readExactly(descriptor, size) {
  const bytes = Buffer.allocUnsafe(size);
  for (let got = 0; got < size; ) {
    const count = fs.readSync(descriptor, bytes, got, size - got, null);
    if (count === 0) return null;
    got += count;
  }
  return bytes;
}

/** Frames over a blocking socket: nothing else of this thread runs while it waits. */
class BlockingChannel {
  #descriptor;

  constructor(descriptor) {
    this.#descriptor = descriptor;
  }

  send(header, body) {
    writeAll(this.#descriptor, encode(header, body));
  }

  /** The next frame as `{header, body}`; null when the peer closed the channel. */
  receive() {
    const prefix = readExactly(this.#descriptor, 4);
    const packed = prefix && readExactly(this.#descriptor, prefix.readUInt32BE());
    if (!packed) return null;
    const { body: size = 0, ...header } = parse(packed.toString());
    const body = readExactly(this.#descriptor, size);
    return body && { header, body };
  }
}

/** Turns the chunks of a stream into frames. */
class FrameReader {
  #chunks = [];
  #size = 0;
  #needed = 4;
  #header = null;
  #stage = 'prefix';

  /** Take bytes as they come; return the frames that became complete. */
  feed(chunk) {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames = [];
    while (this.#size >= this.#needed) {
      const frame = this.#step(this.#take());
      if (frame) frames.push(frame);
    }
    return frames;
  }

  #take() {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const rest = all.subarray(this.#needed);
    const taken = all.subarray(0, this.#needed);
    this.#chunks = rest.length ? [rest] : [];
    this.#size = rest.length;
    return taken;
  }

  #step(bytes) {
    if (this.#stage === 'prefix') {
      this.#stage = 'header';
      this.#needed = bytes.readUInt32BE();
      return null;
    }
    if (this.#stage === 'header') {
      const { body = 0, ...header } = parse(bytes.toString());
      if (body) {
        this.#stage = 'body';
        this.#header = header;
        this.#needed = body;
        return null;
      }
      this.#stage = 'prefix';
      this.#needed = 4;
      return { header, body: Buffer.alloc(0) };
    }
    const frame = { header: this.#header, body: bytes };
    this.#stage = 'prefix';
    this.#needed = 4;
    return frame;
  }
}

module.exports = { BlockingChannel, FrameReader, encode, writeAll };
