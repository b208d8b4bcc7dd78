'use strict';
// Requests to the platform over the host's socket, which adds the identity; no token is ever here.

const net = require('node:net');
const { FrameReader, encode } = require('./frames.js');

const { parse, stringify } = JSON;

/** The platform refused a request; `status`, `code` and `detail` are the problem's own. */
class BaasError extends Error {
  name = 'BaasError';

  constructor(status, code, detail) {
    super(`${code} (${status}): ${detail}`);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

function problem(status, body) {
  try {
    const { code, detail = '' } = parse(body.toString());
    return new BaasError(status, String(code), String(detail));
  } catch {
    return new BaasError(status, 'unknown', body.toString('utf8', 0, 200));
  }
}

function bytesOf(data) {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError('data must be a string, a Buffer, a typed array or an ArrayBuffer');
}

function targetOf(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** One request at a time; others wait for it. */
class Transport {
  #descriptor;
  #socket = null;
  #reader = new FrameReader();
  #waiting = null; // of the request that is under way
  #last = Promise.resolve();
  invocationId = '';

  constructor(descriptor) {
    this.#descriptor = descriptor;
  }

  /** The response's body as a Buffer; BaasError for any status of 400 and above. */
  request(method, path, { query, body, contentType = 'application/json' } = {}) {
    const header = {
      invocation_id: this.invocationId,
      method,
      path: targetOf(path, query),
      content_type: contentType,
    };
    const answer = this.#last.then(() => this.#exchange(encode(header, body && bytesOf(body))));
    this.#last = answer.catch(() => undefined);
    return answer.then((frame) => {
      const status = Number(frame.header.status);
      if (status >= 400) throw problem(status, frame.body);
      return frame.body;
    });
  }

  /** Send JSON (unless `data` is undefined); the decoded answer, null when it is empty. */
  async json(method, path, data, query) {
    const body = data === undefined ? undefined : stringify(data);
    const answer = await this.request(method, path, { query, body });
    return answer.length ? parse(answer.toString()) : null;
  }

  #exchange(bytes) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#connect().write(bytes);
    });
  }

  #connect() {
    if (this.#socket) return this.#socket;
    const socket = new net.Socket({ fd: this.#descriptor, readable: true, writable: true });
    socket.on('data', (data) => {
      for (const frame of this.#reader.feed(data)) this.#waiting?.resolve(frame);
    });
    const lose = () =>
      this.#waiting?.reject(
        new BaasError(503, 'service_unavailable', 'The function host closed the connection.'),
      );
    socket.on('error', lose);
    socket.on('close', lose);
    this.#socket = socket;
    return socket;
  }
}

module.exports = { BaasError, Transport };
