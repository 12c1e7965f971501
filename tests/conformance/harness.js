'use strict';
// What the JavaScript suites of our own share: the official client and the official server SDK pointed at the server
// under test (HOST, PORT), and ways to wait for an event without sleeping.
const http = require('node:http');
const { once: onceOf } = require('node:events');
const nodeTest = require('node:test');
const PusherClient = require('pusher-js');
const PusherServer = require('pusher');

const HOST = process.env.HOST || '127.0.0.1';
const PORT = Number(process.env.PORT);

// The application that is there for the tests of everyday things.
const APP = { appId: '123456', key: 'app-key', secret: 'app-secret' };
// Long, because a machine may be busy; a test that passes never waits for it.
const TIMEOUT_MS = 20_000;

/** A test that fails when nothing happens any more, instead of holding up all others. */
const test = (name, run, options = {}) => nodeTest.test(name, { timeout: 2 * TIMEOUT_MS, ...options }, run);

const clients = new Set();
let names = 0;

/** A channel or user name that no other test uses. */
const unique = (prefix) => `${prefix}-${process.pid}-${(names += 1)}`;

/** The server SDK for an application. */
const server = (app = APP, options = {}) => new PusherServer({ ...app, host: HOST, port: PORT, useTLS: false, ...options });

/** Options of pusher-js for the server under test. `user` and `channelData` decide what an application would sign. */
function clientOptions({ app = APP, user, channelData, masterKey, port = PORT, ...rest } = {}) {
  const signer = server(app, masterKey ? { encryptionMasterKeyBase64: masterKey } : {});
  return {
    cluster: '', wsHost: HOST, wsPort: port, httpHost: HOST, httpPort: port, forceTLS: false, enabledTransports: ['ws'],
    channelAuthorization: {
      customHandler: ({ socketId, channelName }, done) => {
        const data = typeof channelData === 'function' ? channelData(channelName, socketId) : channelData;
        done(null, signer.authorizeChannel(socketId, channelName, data));
      },
    },
    userAuthentication: { customHandler: ({ socketId }, done) => done(null, signer.authenticateUser(socketId, user)) },
    ...rest,
  };
}

/** A client that is disconnected when the test ends; not connected yet when this returns. */
function client(options = {}) {
  const pusher = new PusherClient((options.app || APP).key, clientOptions(options));
  clients.add(pusher);
  return pusher;
}

/** A connected client. */
async function connect(options = {}) {
  const pusher = client(options);
  await state(pusher, 'connected');
  return pusher;
}

function disconnectAll() {
  for (const pusher of clients) pusher.disconnect();
  clients.clear();
}

function withTimeout(what, start) {
  const { stack } = new Error();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} within ${TIMEOUT_MS} ms\n${stack}`)), TIMEOUT_MS);
    start((value) => { clearTimeout(timer); resolve(value); });
  });
}

/** The data of the next event of that name on a channel, a connection or a user; `accept` may pass some over. */
const next = (emitter, event, accept = () => true) => withTimeout(`'${event}' on ${emitter.name || 'the connection'}`, (done) => {
  const handler = (data, metadata) => {
    if (!accept(data, metadata)) return;
    emitter.unbind(event, handler);
    done(data);
  };
  emitter.bind(event, handler);
});

/** Waits until the connection is in a state. */
const state = (pusher, wanted) => withTimeout(`state '${wanted}' (it is '${pusher.connection.state}')`, (done) => {
  if (pusher.connection.state === wanted) return done();
  const handler = ({ current }) => {
    if (current !== wanted) return;
    pusher.connection.unbind('state_change', handler);
    done();
  };
  pusher.connection.bind('state_change', handler);
});

/** Subscribes and waits for the answer: `{channel, data}`. */
async function subscribe(pusher, name) {
  const channel = pusher.subscribe(name);
  const data = await next(channel, 'pusher:subscription_succeeded');
  return { channel, data };
}

/** The code of an error event or of a close, in what pusher-js hands to `error` callbacks. */
const errorCode = (error) => (error.error ?? error).data?.code;

/** Everything that a connection receives from now on, as pusher-js has decoded it. */
function record(pusher) {
  const messages = [];
  pusher.connection.bind('message', (message) => messages.push(message));
  return messages;
}

/**
 * Waits until all that was published to the channel before has arrived: events of one publisher keep their order, so a
 * test can say "nothing else came" without guessing how long to wait.
 */
async function fence(channel, api = server()) {
  const arrived = next(channel, 'fence');
  await api.trigger(channel.name, 'fence', {});
  await arrived;
}

/** Polls until the condition holds; for what has no event to wait for. */
async function until(what, condition) {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not so within ${TIMEOUT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** An HTTP server on a free port; `answer(form, request)` returns a body to send as JSON, or a number: a status. */
async function httpServer(answer) {
  const listener = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', async () => {
      const result = await answer(Object.fromEntries(new URLSearchParams(body)), request, body);
      const status = typeof result === 'number' ? result : 200;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(typeof result === 'number' ? {} : result));
    });
  });
  await onceOf(listener.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${listener.address().port}`, close: () => { listener.closeAllConnections(); listener.close(); } };
}

module.exports = {
  APP, HOST, PORT, TIMEOUT_MS, client, clientOptions, connect, disconnectAll, errorCode, fence, httpServer, next, record, server, state, subscribe,
  test, unique, until,
};
