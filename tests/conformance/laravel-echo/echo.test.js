'use strict';
const assert = require('node:assert/strict');
const path = require('node:path');
const { afterEach, before, after, describe } = require('node:test');
const Pusher = require('pusher-js');
const { APP, HOST, PORT, fence, httpServer, next, server, test, unique, until } = require('../harness');

const MASTER_KEY = Buffer.alloc(32, 7).toString('base64');
// Laravel publishes events under their class names; Echo adds this namespace to what an application listens for.
const EVENT = 'App\\Events\\OrderShipped';
const api = server(APP, { encryptionMasterKeyBase64: MASTER_KEY });

// Filled by `before`: Echo's CommonJS file can't be required, because its package declares all its files as ES modules.
let Echo;
let laravel;
const echoes = [];

/** An Echo whose user the auth server knows by a header, as Laravel knows them by a session. */
function echoOf(user = { id: 1, name: 'Ada' }, options = {}) {
  const echo = new Echo({
    broadcaster: 'reverb', Pusher, key: APP.key, wsHost: HOST, wsPort: PORT, wssPort: PORT, forceTLS: false, enabledTransports: ['ws'],
    authEndpoint: `${laravel.url}/broadcasting/auth`, auth: { headers: { 'X-User': JSON.stringify(user) } }, ...options,
  });
  echoes.push(echo);
  return echo;
}

/** Subscribes to presence and waits for `here`. */
const here = (echo, name) => new Promise((resolve) => { echo.join(name).here(resolve); });
const subscribed = (channel) => new Promise((resolve) => { channel.subscribed(resolve); });
const heard = (channel, event) => new Promise((resolve) => { channel.listen(event, resolve); });
/** What pusher-js calls this channel's subscription: what the harness can wait on. */
const raw = (channel) => channel.subscription;

before(async () => {
  Echo = (await import(path.join(path.dirname(require.resolve('laravel-echo')), 'echo.js'))).default;
  laravel = await httpServer(({ socket_id: socketId, channel_name: name }, request) => {
    const user = JSON.parse(request.headers['x-user']);
    if (name.includes('forbidden')) return 403;
    // A signature of another secret: what a wrongly configured application sends.
    if (name.includes('forged')) return server({ ...APP, secret: 'not-the-secret' }).authorizeChannel(socketId, name);
    return name.startsWith('presence-')
      // Laravel sends numeric ids as numbers.
      ? api.authorizeChannel(socketId, name, { user_id: user.id, user_info: user })
      : api.authorizeChannel(socketId, name);
  });
});
afterEach(() => { for (const echo of echoes.splice(0)) echo.disconnect(); });
after(() => laravel.close());

describe('connection', () => {
  test('the pusher broadcaster connects like the reverb one', async () => {
    const echo = echoOf(undefined, { broadcaster: 'pusher', cluster: '' });
    await until('connected', () => echo.connectionStatus() === 'connected');
    assert.match(echo.socketId(), /^\d+\.\d+$/);
  });

  test('connection changes are reported', async () => {
    const echo = echoOf();
    const statuses = [];
    echo.connector.onConnectionChange((status) => statuses.push(status));
    await until('connected', () => statuses.includes('connected'));
    echo.disconnect();
    await until('disconnected', () => statuses.at(-1) === 'disconnected');
  });
});

describe('public channels', () => {
  test('an event reaches its listener with its data', async () => {
    const channel = echoOf().channel(unique('orders'));
    await subscribed(channel);
    const event = heard(channel, 'OrderShipped');
    await api.trigger(channel.name, EVENT, { order: { id: 7, name: 'Zürich ✓' } });
    assert.deepEqual(await event, { order: { id: 7, name: 'Zürich ✓' } });
  });

  test('a name with a dot is listened for as it is', async () => {
    const channel = echoOf().channel(unique('orders'));
    await subscribed(channel);
    const event = heard(channel, '.order.shipped');
    await api.trigger(channel.name, 'order.shipped', { id: 1 });
    assert.deepEqual(await event, { id: 1 });
  });

  test('listenToAll hears every event and none of the protocol', async () => {
    const channel = echoOf().channel(unique('orders'));
    await subscribed(channel);
    const events = [];
    channel.listenToAll((event, data) => events.push([event, data]));
    await api.trigger(channel.name, EVENT, { id: 1 });
    await api.trigger(channel.name, 'plain', { id: 2 });
    await until('two events', () => events.length === 2);
    assert.deepEqual(events.map(([, data]) => data), [{ id: 1 }, { id: 2 }]);
    assert.equal(events[1][0], '.plain');
  });

  test('stopListening ends it', async () => {
    const channel = echoOf().channel(unique('orders'));
    await subscribed(channel);
    let count = 0;
    channel.listen('.counted', () => { count += 1; });
    await api.trigger(channel.name, 'counted', {});
    await until('one event', () => count === 1);
    channel.stopListening('.counted');
    await api.trigger(channel.name, 'counted', {});
    await fence(raw(channel));
    assert.equal(count, 1);
  });

  test('leaving a channel unsubscribes from it', async () => {
    const echo = echoOf();
    const name = unique('orders');
    await subscribed(echo.channel(name));
    echo.leave(name);
    await until('vacated', async () => (await (await api.get({ path: `/channels/${name}` })).json()).occupied === false);
  });

  test('toOthers leaves out the sender by its socket id', async () => {
    const [sender, other] = [echoOf(), echoOf()];
    const name = unique('orders');
    const [own, others] = [sender.channel(name), other.channel(name)];
    await Promise.all([subscribed(own), subscribed(others)]);
    let received = 0;
    own.listen('OrderShipped', () => { received += 1; });
    const event = heard(others, 'OrderShipped');
    await api.trigger(name, EVENT, { id: 3 }, { socket_id: sender.socketId() });
    assert.deepEqual(await event, { id: 3 });
    await fence(raw(own));
    assert.equal(received, 0);
  });
});

describe('private channels', () => {
  test('an authorised subscriber receives events', async () => {
    const channel = echoOf().private(unique('orders'));
    await subscribed(channel);
    const event = heard(channel, 'OrderShipped');
    await api.trigger(channel.name, EVENT, { id: 5 });
    assert.deepEqual(await event, { id: 5 });
  });

  test('a notification reaches its listener', async () => {
    const channel = echoOf().private(`App.Models.User.${unique('1')}`);
    await subscribed(channel);
    const notified = new Promise((resolve) => { channel.notification(resolve); });
    await api.trigger(channel.name, 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated', { id: 'n1', type: 'App\\Notifications\\Paid' });
    assert.deepEqual(await notified, { id: 'n1', type: 'App\\Notifications\\Paid' });
  });

  test('a refusal by the application reaches the error callback', async () => {
    const channel = echoOf().private(unique('forbidden'));
    const error = await new Promise((resolve) => { channel.error(resolve); });
    assert.equal(error.status, 403);
  });

  test('a refusal by the server reaches the error callback', async () => {
    const channel = echoOf().private(unique('forged'));
    const error = await new Promise((resolve) => { channel.error(resolve); });
    assert.equal(error.type, 'AuthError');
    assert.equal(error.status, 401);
  });

  test('a whisper reaches the others and not its sender', async () => {
    const name = unique('chat');
    const [ada, bob] = [echoOf(), echoOf({ id: 2, name: 'Bob' })].map((echo) => echo.private(name));
    await Promise.all([subscribed(ada), subscribed(bob)]);
    let echoed = 0;
    ada.listenForWhisper('typing', () => { echoed += 1; });
    const typing = new Promise((resolve) => { bob.listenForWhisper('typing', resolve); });
    ada.whisper('typing', { name: 'Ada' });
    assert.deepEqual(await typing, { name: 'Ada' });
    await fence(raw(ada));
    assert.equal(echoed, 0);
  });
});

describe('encrypted private channels', () => {
  test('an event is decrypted by the subscriber', async () => {
    const channel = echoOf().encryptedPrivate(unique('orders'));
    await subscribed(channel);
    const event = heard(channel, 'OrderShipped');
    await api.trigger(channel.name, EVENT, { secret: 'Zürich ✓' });
    assert.deepEqual(await event, { secret: 'Zürich ✓' });
  });
});

describe('presence channels', () => {
  test('here lists all members, also those with numeric ids', async () => {
    const name = unique('room');
    assert.deepEqual(await here(echoOf({ id: 11, name: 'Ada' }), name), [{ id: 11, name: 'Ada' }]);
    const members = await here(echoOf({ id: 12, name: 'Bob' }), name);
    assert.deepEqual(members.map((member) => member.name).sort(), ['Ada', 'Bob']);
  });

  test('joining and leaving name the member', async () => {
    const name = unique('room');
    const [ada, bob] = [echoOf({ id: 11, name: 'Ada' }), echoOf({ id: 12, name: 'Bob' })];
    await here(ada, name);
    const joined = new Promise((resolve) => { ada.join(name).joining(resolve); });
    const left = new Promise((resolve) => { ada.join(name).leaving(resolve); });
    await here(bob, name);
    assert.deepEqual(await joined, { id: 12, name: 'Bob' });
    bob.leave(name);
    assert.deepEqual(await left, { id: 12, name: 'Bob' });
  });

  test('a member who disconnects leaves', async () => {
    const name = unique('room');
    const [ada, bob] = [echoOf({ id: 11, name: 'Ada' }), echoOf({ id: 12, name: 'Bob' })];
    await here(ada, name);
    await here(bob, name);
    const left = new Promise((resolve) => { ada.join(name).leaving(resolve); });
    bob.disconnect();
    assert.deepEqual(await left, { id: 12, name: 'Bob' });
  });

  test('a whisper names its sender by user id', async () => {
    const name = unique('room');
    const [ada, bob] = [echoOf({ id: 11, name: 'Ada' }), echoOf({ id: 12, name: 'Bob' })];
    await Promise.all([here(ada, name), here(bob, name)]);
    const message = next(bob.connector.pusher.connection, 'message', ({ event }) => event === 'client-typing');
    ada.join(name).whisper('typing', { chars: 3 });
    const { data, user_id: userId } = await message;
    assert.deepEqual(data, { chars: 3 });
    assert.equal(userId, '11');
  });

  test('leave leaves the private and presence variants too', async () => {
    const name = unique('room');
    const [ada, bob] = [echoOf({ id: 11, name: 'Ada' }), echoOf({ id: 12, name: 'Bob' })];
    await Promise.all([here(ada, name), here(bob, name), subscribed(bob.private(name))]);
    const left = new Promise((resolve) => { ada.join(name).leaving(resolve); });
    bob.leave(name);
    await left;
    await until('vacated', async () => (await (await api.get({ path: `/channels/private-${name}` })).json()).occupied === false);
  });
});
