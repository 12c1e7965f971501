'use strict';
// Every close code, provoked by a client, and what pusher-js does then. Codes that pusher-js never provokes are provoked by
// a bare WebSocket.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { after, afterEach, before, describe } = require('node:test');
const WebSocket = require('ws');
const { HOST, PORT, client, connect, disconnectAll, errorCode, next, server, state, subscribe, test, unique, until } = require('../harness');
const { startBalancer, startServer } = require('./server');

const app = (name, appId) => ({ appId, key: `${name}-key`, secret: `${name}-secret` });
const sockets = [];

afterEach(() => { disconnectAll(); for (const socket of sockets.splice(0)) socket.terminate(); });

/** Connects without pusher-js. `closed` resolves to `{code, reason, messages}`. */
function bareSocket(path, { port = PORT, onMessage = () => {}, ...options } = {}) {
  const socket = new WebSocket(`ws://${HOST}:${port}${path}`, options);
  const messages = [];
  sockets.push(socket);
  const closed = new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (text) => { const message = JSON.parse(text); messages.push(message); onMessage(message, socket); });
    socket.on('close', (code, reason) => resolve({ code, reason: String(reason), messages }));
  });
  return { socket, closed };
}

describe('refused for good: pusher-js gives up', () => {
  const refusals = {
    4001: ['an unknown key', { app: app('unknown', '99') }],
    4003: ['a disabled application', { app: app('disabled', '11') }],
    4005: ['a path that is none', { wsPath: '/nowhere' }],
  };
  for (const [code, [what, options]] of Object.entries(refusals)) {
    test(`${code}: ${what}`, async () => {
      const pusher = client(options);
      assert.equal(errorCode(await next(pusher.connection, 'error')), Number(code));
      await state(pusher, 'disconnected');
    });
  }

  test('4004: one connection too many; it works again when another has gone', async () => {
    const full = app('full', '12');
    const first = await connect({ app: full });
    const second = client({ app: full });
    assert.equal(errorCode(await next(second.connection, 'error')), 4004);
    await state(second, 'disconnected');
    first.disconnect();
    await until('room for a third', async () => {
      const third = client({ app: full });
      await until('an answer', () => ['connected', 'disconnected'].includes(third.connection.state));
      return third.connection.state === 'connected';
    });
  });

  test('4006: a version that is none', async () => {
    const { code } = await bareSocket('/app/app-key?protocol=7&client=js&version=%3Cscript%3E').closed;
    assert.equal(code, 4006);
  });

  for (const protocol of ['3', '0', '8', '-7', 'seven']) {
    test(`4007: protocol ${protocol}`, async () => {
      assert.equal((await bareSocket(`/app/app-key?protocol=${protocol}`).closed).code, 4007);
    });
  }

  test('4008: no protocol', async () => {
    assert.equal((await bareSocket('/app/app-key?client=js&version=8.6.0').closed).code, 4008);
  });

  test('the reason is also told in an error event, whose data is an object', async () => {
    const { reason, messages } = await bareSocket('/app/another-key?protocol=5').closed;
    assert.deepEqual(messages, [{ event: 'pusher:error', data: { code: 4001, message: reason } }]);
    assert.equal(reason, 'App key another-key not in this cluster. Did you forget to specify the cluster?');
  });

  test('4009: a connection that authorises for nothing', async () => {
    const pusher = await connect({ app: app('authorized', '14') });
    assert.equal(errorCode(await next(pusher.connection, 'error')), 4009);
    await state(pusher, 'disconnected');
  });

  test('a connection that authorised in time stays', async () => {
    const options = { app: app('authorized', '14') };
    const [silent, authorised] = await Promise.all([connect(options), connect(options)]);
    await subscribe(authorised, unique('private'));
    await state(silent, 'disconnected');
    const pong = next(authorised.connection, 'message', ({ event }) => event === 'pusher:pong');
    authorised.send_event('pusher:ping', {});
    await pong;
  });

  test('4009: a web page of another origin', async () => {
    const path = '/app/origin-key?protocol=7';
    assert.equal((await bareSocket(path, { origin: 'https://evil.example.com' }).closed).code, 4009);
    const { socket } = bareSocket(path, { origin: 'https://app.example.com' });
    const [message] = await once(socket, 'message');
    assert.equal(JSON.parse(message).event, 'pusher:connection_established');
  });
});

test('4000: pusher-js goes on with TLS', async () => {
  const pusher = client({ app: app('tls', '13') });
  assert.equal(errorCode(await next(pusher.connection, 'error')), 4000);
  await until('it uses TLS', () => pusher.connection.usingTLS);
});

test('4100: too many messages; pusher-js comes back after a second', async () => {
  const pusher = await connect();
  const { channel } = await subscribe(pusher, unique('public'));
  const error = next(pusher.connection, 'error', (e) => errorCode(e) === 4100);
  const delay = next(pusher.connection, 'connecting_in');
  for (let n = 0; n < 10000; n += 1) pusher.send_event('pusher:ping', {});
  await error;
  assert.equal(await delay, 1);
  await next(channel, 'pusher:subscription_succeeded');
});

describe('with a server of its own', { skip: process.env.SERVER_BIN ? false : 'the server under test was started by somebody else' }, () => {
  let idle;
  let own;

  before(async () => {
    own = await startServer({ COURANT_LIVENESS_PING_INTERVAL: '1s', COURANT_LIVENESS_PONG_TIMEOUT: '1s', COURANT_LIVENESS_ACTIVITY_TIMEOUT: '1min', COURANT_LIVENESS_IDLE_MAX: '1min' });
    // The shortest time that is allowed is a minute: it starts first and is looked at last.
    idle = new WebSocket(`ws://${HOST}:${own.port}/app/app-key?protocol=4`);
    idle.closed = new Promise((resolve) => { idle.on('close', (code) => resolve(code)); });
    idle.pings = 0;
    idle.on('ping', () => { idle.pings += 1; });
  });
  after(() => own.stop());

  test('4201: a client of protocol 7 that answers nothing', async () => {
    const { closed } = bareSocket('/app/app-key?protocol=7', { port: own.port, autoPong: false });
    assert.equal((await closed).code, 4201);
  });

  test('a client that answers pings, and does nothing else, stays', async () => {
    let asked = 0;
    const { socket } = bareSocket('/app/app-key?protocol=7', {
      port: own.port,
      onMessage: ({ event }) => { if (event === 'pusher:ping') { asked += 1; socket.send('{"event":"pusher:pong","data":{}}'); } },
    });
    const pusher = await connect({ port: own.port });
    await until('several pings', () => asked >= 4 || socket.readyState === WebSocket.CLOSED);
    assert.equal(socket.readyState, WebSocket.OPEN);
    assert.equal(pusher.connection.state, 'connected');
  });

  test('4200: a drain; pusher-js comes back to another server, subscribes and signs in again', async () => {
    const [first, second] = await Promise.all([startServer({ COURANT_DRAIN_DURATION: '0s' }), startServer()]);
    const balancer = await startBalancer(first.port);
    try {
      const pusher = await connect({ port: balancer.port, user: { id: 'ada' } });
      pusher.signin();
      const { channel } = await subscribe(pusher, unique('private'));
      const error = next(pusher.connection, 'error', (e) => errorCode(e) === 4200);
      balancer.target = second.port;
      first.terminate();
      await error;
      assert.equal(await first.exited, 0);
      await until('subscribed again', () => channel.subscribed);
      const event = next(channel, 'e');
      await server(undefined, { port: second.port }).trigger(channel.name, 'e', { n: 1 });
      assert.deepEqual(await event, { n: 1 });
      await until('signed in again', () => pusher.user.serverToUserChannel?.subscribed);
    } finally {
      disconnectAll();
      balancer.stop();
      await Promise.all([first.stop(), second.stop()]);
    }
  });

  test('a drain spreads the closes, and refuses newcomers with 503 meanwhile', async () => {
    const draining = await startServer({ COURANT_DRAIN_DURATION: '3s', COURANT_DRAIN_DEADLINE: '60s' });
    const path = '/app/app-key?protocol=7';
    const clients = Array.from({ length: 10 }, () => bareSocket(path, { port: draining.port }));
    await Promise.all(clients.map(({ socket }) => once(socket, 'message')));
    const codes = [];
    for (const { closed } of clients) closed.then(({ code }) => codes.push(code));
    draining.terminate();
    await until('the first close', () => codes.length > 0);
    const late = new WebSocket(`ws://${HOST}:${draining.port}${path}`);
    late.on('error', () => {});
    const [, response] = await once(late, 'unexpected-response');
    assert.equal(response.statusCode, 503);
    late.terminate();
    assert.ok(codes.length < clients.length, 'all were closed at the same time');
    await until('all are closed', () => codes.length === clients.length);
    assert.deepEqual([...new Set(codes)], [4200]);
    assert.equal(await draining.exited, 0);
  });

  test('a second SIGTERM ends the server at once', async () => {
    const stubborn = await startServer({ COURANT_DRAIN_DURATION: '30min', COURANT_DRAIN_DEADLINE: '1h' });
    const { socket, closed } = bareSocket('/app/app-key?protocol=7', { port: stubborn.port });
    await once(socket, 'message');
    const again = setInterval(stubborn.terminate, 200);
    await stubborn.exited;
    clearInterval(again);
    await closed.catch(() => {});
  });

  test('4202: a client of protocol 4, which is not asked, after a minute of silence', async () => {
    assert.equal(await idle.closed, 4202);
    assert.equal(idle.pings, 0);
  }, { timeout: 120_000 });
});
