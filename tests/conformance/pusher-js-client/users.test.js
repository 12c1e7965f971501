'use strict';
// Sign-in and what hangs on it: messages to a user, watchlists, termination, presence without channel_data.
const assert = require('node:assert/strict');
const { afterEach, describe } = require('node:test');
const { client, connect, disconnectAll, errorCode, next, record, server, state, subscribe, test, unique, until } = require('../harness');

const api = server();

afterEach(disconnectAll);

/** A connected client that is signed in and can be reached as its user. */
async function signIn(user, options = {}) {
  const pusher = await connect({ user, ...options });
  pusher.signin();
  await until(`${user.id} is signed in`, () => pusher.user.serverToUserChannel?.subscribed);
  return pusher;
}

for (const transport of ['ws', 'xhr_streaming', 'xhr_polling']) {
  const options = { enabledTransports: [transport] };

  describe(transport, () => {
    test(`${transport}: sign-in answers with the same user data`, async () => {
      const user = { id: unique('user'), user_info: { name: 'Ada ✓' }, watchlist: [] };
      const pusher = await connect({ user, ...options });
      const success = next(pusher.connection, 'message', ({ event }) => event === 'pusher:signin_success');
      pusher.signin();
      assert.deepEqual(JSON.parse((await success).data.user_data), user);
      await pusher.user.signinDonePromise;
      assert.equal(pusher.user.user_data.id, user.id);
    });

    test(`${transport}: a message to a user reaches all connections of that user and no other`, async () => {
      const [ada, bob] = [unique('user'), unique('user')];
      const [first, second, other] = await Promise.all([signIn({ id: ada }, options), signIn({ id: ada }, options), signIn({ id: bob }, options)]);
      let received = 0;
      other.user.bind('private-matter', () => { received += 1; });
      const events = Promise.all([next(first.user, 'private-matter'), next(second.user, 'private-matter')]);
      await api.sendToUser(ada, 'private-matter', { amount: 5 });
      assert.deepEqual(await events, [{ amount: 5 }, { amount: 5 }]);
      const fence = next(other.user, 'fence');
      await api.sendToUser(bob, 'fence', {});
      await fence;
      assert.equal(received, 0);
    });

    test(`${transport}: termination closes the user's connections with 4009, and they stay away`, async () => {
      const [ada, bob] = [unique('user'), unique('user')];
      const [first, second, other] = await Promise.all([signIn({ id: ada }, options), signIn({ id: ada }, options), signIn({ id: bob }, options)]);
      const errors = Promise.all([first, second].map((pusher) => next(pusher.connection, 'error', (error) => errorCode(error) === 4009)));
      await api.terminateUserConnections(ada);
      await errors;
      await Promise.all([state(first, 'disconnected'), state(second, 'disconnected')]);
      assert.equal(other.connection.state, 'connected');
    });
  });
}

describe('sign-in', () => {
  test('a wrong signature is an error event', async () => {
    const forged = server({ appId: '123456', key: 'app-key', secret: 'not-the-secret' });
    const pusher = await connect({ userAuthentication: { customHandler: ({ socketId }, done) => done(null, forged.authenticateUser(socketId, { id: '1' })) } });
    const error = next(pusher.connection, 'error');
    pusher.signin();
    assert.equal((await error).type, 'PusherError');
    assert.equal(pusher.connection.state, 'connected');
  });

  test('as another user is refused once signed in', async () => {
    const pusher = await signIn({ id: unique('user') });
    const error = next(pusher.connection, 'error');
    pusher.send_event('pusher:signin', api.authenticateUser(pusher.connection.socket_id, { id: unique('user') }));
    await error;
    assert.equal(pusher.connection.state, 'connected');
  });

  test('user data without a usable id is refused', async () => {
    const { createHmac } = require('node:crypto');
    const pusher = await connect();
    for (const data of ['{}', '{"id":""}', '{"id":7}', '[]', 'null', 'no json']) {
      const auth = `app-key:${createHmac('sha256', 'app-secret').update(`${pusher.connection.socket_id}::user::${data}`).digest('hex')}`;
      const error = next(pusher.connection, 'error');
      pusher.send_event('pusher:signin', { auth, user_data: data });
      await error;
    }
    assert.equal(pusher.connection.state, 'connected');
  });

  test('comes again after a reconnection', async () => {
    const id = unique('user');
    const pusher = await signIn({ id });
    pusher.disconnect();
    await state(pusher, 'disconnected');
    pusher.connect();
    await until('signed in again', () => pusher.user.serverToUserChannel?.subscribed);
    const event = next(pusher.user, 'e');
    await api.sendToUser(id, 'e', { n: 1 });
    assert.deepEqual(await event, { n: 1 });
  });
});

describe('server-to-user channels', () => {
  for (const [who, user] of Object.entries({ 'another user': { id: unique('user') }, 'nobody': null })) {
    test(`are closed to ${who}`, async () => {
      const pusher = user ? await signIn(user) : await connect();
      const channel = `#server-to-user-${unique('victim')}`;
      const refused = next(pusher.connection, 'message', (message) => message.channel === channel);
      pusher.send_event('pusher:subscribe', { channel, auth: '' });
      const { event, data } = await refused;
      assert.equal(event, 'pusher:subscription_error');
      assert.equal(data.status, 401);
    });
  }

  test('take no client events', async () => {
    const id = unique('user');
    const [one, two] = await Promise.all([signIn({ id }), signIn({ id })]);
    let received = 0;
    two.user.bind('client-e', () => { received += 1; });
    const error = next(one.connection, 'error');
    one.send_event('client-e', {}, `#server-to-user-${id}`);
    await error;
    const fence = next(two.user, 'fence');
    await api.sendToUser(id, 'fence', {});
    await fence;
    assert.equal(received, 0);
  });
});

describe('presence of signed-in users', () => {
  test('needs no channel_data', async () => {
    const user = { id: unique('user'), user_info: { name: 'Ada' } };
    const options = { channelAuthorization: { customHandler: ({ socketId, channelName }, done) => done(null, { auth: api.authorizeChannel(socketId, channelName).auth }) } };
    const name = unique('presence');
    const watcher = await connect({ channelData: { user_id: 'watcher' } });
    const { channel } = await subscribe(watcher, name);
    const added = next(channel, 'pusher:member_added');
    const pusher = await signIn(user, options);
    const { data } = await subscribe(pusher, name);
    assert.deepEqual(data.me, { id: user.id, info: { name: 'Ada' } });
    assert.deepEqual(await added, { id: user.id, info: { name: 'Ada' } });
  });

  test('does not make a user whose presence alone is known one that can be terminated', async () => {
    const id = unique('user');
    const pusher = await connect({ channelData: { user_id: id } });
    const { channel } = await subscribe(pusher, unique('presence'));
    await api.terminateUserConnections(id);
    const event = next(channel, 'still-here');
    await api.trigger(channel.name, 'still-here', {});
    await event;
    assert.equal(pusher.connection.state, 'connected');
  });
});

describe('watchlist', () => {
  test('tells who is online, then each change, once per user', async () => {
    const [watched, absent] = [unique('user'), unique('user')];
    const present = await signIn({ id: watched });
    const pusher = client({ user: { id: unique('user'), watchlist: [watched, absent] } });
    const changes = [];
    for (const event of ['online', 'offline']) pusher.user.watchlist.bind(event, ({ user_ids: ids }) => changes.push(...ids.map((id) => `${event} ${id}`)));
    pusher.signin();
    await until('both states', () => changes.length === 2);
    assert.deepEqual(changes.sort(), [`offline ${absent}`, `online ${watched}`]);
    changes.length = 0;
    const second = await signIn({ id: watched });
    present.disconnect();
    await signIn({ id: absent });
    await until('a change', () => changes.length === 1);
    assert.deepEqual(changes, [`online ${absent}`]);
    second.disconnect();
    await until('another', () => changes.length === 2);
    assert.deepEqual(changes, [`online ${absent}`, `offline ${watched}`]);
  });

  test('over 100 users is cut, with error 4302, and sign-in succeeds', async () => {
    const watchlist = Array.from({ length: 101 }, () => unique('user'));
    const pusher = await connect({ user: { id: unique('user'), watchlist } });
    const messages = record(pusher);
    const error = next(pusher.connection, 'error');
    pusher.signin();
    assert.equal(errorCode(await error), 4302);
    await until('signed in', () => pusher.user.serverToUserChannel?.subscribed);
    await until('states', () => messages.some(({ event }) => event === 'pusher_internal:watchlist_events'));
    const told = messages.filter(({ event }) => event === 'pusher_internal:watchlist_events').flatMap(({ data }) => data.events).flatMap(({ user_ids: ids }) => ids);
    assert.deepEqual(told.sort(), watchlist.slice(0, 100).sort());
  });
});
