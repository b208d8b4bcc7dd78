'use strict';
// What user code prints becomes one stream of JSON lines on the log pipe: console.log and stdout
// are level info, console.error and stderr error. What native code and child processes write to
// descriptors 1 and 2 goes through pipes of its own, which the host reads too.

const { Writable } = require('node:stream');
const { format } = require('node:util');
const { writeAll } = require('./frames.js');

const { stringify } = JSON;
const LINE_CAP = 16_384; // longer lines are cut into pieces of this many characters

class LineStream extends Writable {
  #pipe;
  #level;
  #partial = '';

  constructor(pipe, level) {
    super({ decodeStrings: false, emitClose: false });
    this.#pipe = pipe;
    this.#level = level;
  }

  _write(chunk, encoding, done) {
    const lines = (this.#partial + (typeof chunk === 'string' ? chunk : chunk.toString())).split('\n');
    this.#partial = lines.pop();
    while (this.#partial.length > LINE_CAP) {
      lines.push(this.#partial.slice(0, LINE_CAP));
      this.#partial = this.#partial.slice(LINE_CAP);
    }
    for (const line of lines) this.#pipe.write(this.#level, line);
    done();
  }

  /** Send what was printed without a newline. */
  endLine() {
    if (this.#partial) this.#pipe.write(this.#level, this.#partial);
    this.#partial = '';
  }
}

class LogPipe {
  #descriptor;

  constructor(descriptor) {
    this.#descriptor = descriptor;
  }

  /** Send one item. */
  write(level, message) {
    writeAll(this.#descriptor, Buffer.from(stringify({ level, message }) + '\n'));
  }
}

/** The ways out of a function, joined. */
class Output {
  #streams;

  constructor(descriptor) {
    const pipe = new LogPipe(descriptor);
    const at = (level) => (...parts) => pipe.write(level, format(...parts));
    const out = new LineStream(pipe, 'info');
    const err = new LineStream(pipe, 'error');
    this.#streams = [out, err];
    // The global console looks these up when it is first used.
    Object.defineProperty(process, 'stdout', { value: out, configurable: true, enumerable: true });
    Object.defineProperty(process, 'stderr', { value: err, configurable: true, enumerable: true });
    console.warn = at('warning');
    console.debug = at('debug');
    const logger = { debug: at('debug'), info: at('info'), warning: at('warning') };
    this.logger = Object.freeze({
      ...logger,
      error: at('error'),
      warn: logger.warning,
      log: logger.info,
    });
    this.pipe = pipe;
  }

  /** Send everything that was printed until now. */
  endCall() {
    for (const stream of this.#streams) stream.endLine();
  }
}

module.exports = { Output };
