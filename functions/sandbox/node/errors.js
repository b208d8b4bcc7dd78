'use strict';
// What is told of an error: two short texts in the answer, the stack in the log.

const { inspect } = require('node:util');

const MESSAGE_CAP = 4096; // characters of an error's text that go into the answer
const OWN_FRAME = /^\s+at .*(\(|file:\/\/| )(node:internal\/|\/\.node\/)/;
const NO_MEMORY = /Array buffer allocation failed|could not allocate memory|Cannot allocate memory/;

/** The package was loaded but has no such handler. */
class HandlerNotFoundError extends Error {
  name = 'HandlerNotFoundError';
}

/** `{type, message}` of whatever was thrown, by hostile code perhaps. */
function describe(error) {
  try {
    if (!(error instanceof Error)) return { type: typeof error, message: shown(error) };
    const name = error.name === 'Error' ? error.constructor?.name : error.name;
    return { type: String(name || 'Error'), message: String(error.message).slice(0, MESSAGE_CAP) };
  } catch {
    return { type: 'Error', message: '(the error cannot be shown)' };
  }
}

function shown(value) {
  return (typeof value === 'string' ? value : inspect(value, { depth: 1 })).slice(0, MESSAGE_CAP);
}

/** The stack as a developer wants it, with causes, without the frames of this program. */
function stackText(error) {
  try {
    const lines = inspect(error, { depth: 3 }).split('\n');
    return lines.filter((line) => !OWN_FRAME.test(line)).join('\n');
  } catch {
    return '(the error cannot be shown)';
  }
}

/** True for what V8 throws, rather than aborts, when memory cannot be had. */
function isOutOfMemory(error) {
  try {
    return error instanceof RangeError && NO_MEMORY.test(error.message);
  } catch {
    return false;
  }
}

module.exports = { HandlerNotFoundError, describe, isOutOfMemory, stackText };
