'use strict';
// The loop inside a Node sandbox: wait for a function, load it once, then one call at a time.
//
// Everything here may be replaced by the user's code, which shares the process. The host therefore
// trusts nothing of what it sends; this is only the honest side of the protocol.

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');
const { baas } = require('./client.js');
const { HandlerNotFoundError, describe, isOutOfMemory, stackText } = require('./errors.js');
const { BlockingChannel } = require('./frames.js');
const { find } = require('./handlers.js');
const { Output } = require('./logs.js');
const { Transport } = require('./transport.js');

const { parse, stringify } = JSON;
const [CONTROL, API, LOG, KEEPER] = [3, 4, 5, 6];
const RESULT_CAP = 6 << 20;

const control = new BlockingChannel(CONTROL);
const transport = new Transport(API);
const output = new Output(LOG);

/** The loaded function. */
let handler;
let init;
let client;

function refuseLoad(kind, error) {
  output.endCall();
  control.send({ type: 'load_failed', kind, error: describe(error) });
}

/** Import the handler and tell the host how it went. */
async function load() {
  Object.assign(process.env, init.env);
  client = baas(transport, init.function);
  try {
    handler = await find(init.handler);
  } catch (error) {
    if (error instanceof HandlerNotFoundError) {
      refuseLoad('handler_not_found', error);
    } else if (isOutOfMemory(error)) {
      refuseLoad('out_of_memory', error);
    } else {
      output.pipe.write('error', stackText(error));
      refuseLoad('load_error', error);
    }
    return false;
  }
  output.endCall();
  control.send({ type: 'ready' });
  return true;
}

function contextOf(call) {
  const ends = performance.now() + call.timeout_s * 1000;
  const remaining = () => Math.max(0, Math.floor(ends - performance.now()));
  return Object.freeze({
    invocation_id: call.invocation_id,
    function: init.function,
    version: init.version,
    attempt: call.attempt,
    deadline: new Date(call.deadline * 1000).toISOString(),
    auth: call.auth,
    trace_id: call.trace_id,
    logger: output.logger,
    baas: client,
    remaining_ms: remaining,
    remainingMs: remaining,
  });
}

function encodeResult(result) {
  let body;
  try {
    const text = stringify(result === undefined ? null : result);
    if (text === undefined) throw new TypeError(`a ${typeof result} is not JSON`);
    body = Buffer.from(text);
  } catch (error) {
    return [{ outcome: 'invalid_response', error: describe(error) }];
  }
  if (body.length > RESULT_CAP) {
    const message = `The result has ${body.length} bytes; ${RESULT_CAP} are allowed.`;
    return [{ outcome: 'result_too_large', error: { type: 'ResultTooLarge', message } }];
  }
  return [{ outcome: 'ok' }, body];
}

/** Run the handler; the answer's header and body. */
async function run(frame) {
  try {
    const event = parse(frame.body.toString());
    return encodeResult(await handler(event, contextOf(frame.header)));
  } catch (error) {
    if (isOutOfMemory(error)) return [{ outcome: 'out_of_memory', error: describe(error) }];
    output.pipe.write('error', stackText(error));
    return [{ outcome: 'error', error: describe(error) }];
  }
}

/** Answer calls until the host closes the channel. Between calls nothing here runs. */
async function serve() {
  for (let frame; (frame = control.receive()); ) {
    transport.invocationId = frame.header.invocation_id;
    const [header, body] = await run(frame);
    output.endCall();
    control.send({ type: 'reply', id: frame.header.id, ...header }, body);
  }
}

function endOnUncaught(error) {
  if (process.listenerCount('uncaughtException') > 1) return; // the function has its own
  output.pipe.write('error', stackText(error));
  process.exit(1);
}

/** Do ahead what every function needs, then wait for one. */
async function main() {
  // A handler whose promise never settles runs into its deadline; it does not end the process.
  setInterval(() => undefined, 2 ** 30);
  process.on('uncaughtException', endOnUncaught);
  process.on('exit', () => output.endCall());
  await import('data:text/javascript,');
  const keeper = new BlockingChannel(KEEPER);
  fs.writeSync(KEEPER, 'r');
  init = keeper.receive()?.header;
  fs.closeSync(KEEPER);
  if (init && (await load())) await serve();
  process.exit(0);
}

main();
