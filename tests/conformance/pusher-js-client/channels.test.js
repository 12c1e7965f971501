'use strict';
// Channel kinds, over each transport of pusher-js.
const assert = require('node:assert/strict');
const { afterEach, describe } = require('node:test');
const harness = require('../harness');
const { APP, connect, disconnectAll, errorCode, fence, next, record, server, subscribe, test, unique, until } = harness;

const MASTER_KEY = Buffer.alloc(32, 9).toString('base64');
const api = server(APP, { encryptionMasterKeyBase64: MASTER_KEY });

afterEach(disconnectAll);

for (const transport of ['ws', 'xhr_streaming', 'xhr_polling']) {
  const over = (options = {}) => connect({ enabledTransports: [transport], ...options });

  describe(transport, () => {
    test(`${transport}: events keep their order and their data`, async () => {
      const { channel } = await subscribe(await over(), unique('public'));
      const received = [];
      channel.bind('numbered', (data) => received.push(data));
      const sent = [0, 'text', [1, 2], { umlaut: 'ä€😀', nested: { quote: '"\\' } }, '', null, false];
      for (const data of sent) await api.trigger(channel.name, 'numbered', { data });
      await until('all events', () => received.length === sent.length);
      assert.deepEqual(received, sent.map((data) => ({ data })));
    });

    test(`${transport}: data that is no JSON arrives as it was sent`, async () => {
      const { channel } = await subscribe(await over(), unique('public'));
      const event = next(channel, 'text');
      await api.trigger(channel.name, 'text', 'not {json');
      assert.equal(await event, 'not {json');
    });

    test(`${transport}: one publish reaches several channels, a batch each of its own`, async () => {
      const pusher = await over();
      const [one, two] = await Promise.all([subscribe(pusher, unique('one')), subscribe(pusher, unique('two'))]).then((all) => all.map(({ channel }) => channel));
      let events = Promise.all([next(one, 'e'), next(two, 'e')]);
      await api.trigger([one.name, two.name], 'e', { n: 1 });
      assert.deepEqual(await events, [{ n: 1 }, { n: 1 }]);
      events = Promise.all([next(one, 'e'), next(two, 'e')]);
      await api.triggerBatch([{ channel: one.name, name: 'e', data: { n: 2 } }, { channel: two.name, name: 'e', data: { n: 3 } }]);
      assert.deepEqual(await events, [{ n: 2 }, { n: 3 }]);
    });

    test(`${transport}: a publish leaves out the connection it names`, async () => {
      const [sender, other] = await Promise.all([over(), over()]);
      const name = unique('public');
      const [{ channel: own }, { channel: others }] = await Promise.all([subscribe(sender, name), subscribe(other, name)]);
      let received = 0;
      own.bind('e', () => { received += 1; });
      const event = next(others, 'e');
      await api.trigger(name, 'e', {}, { socket_id: sender.connection.socket_id });
      await event;
      await fence(own);
      assert.equal(received, 0);
    });

    test(`${transport}: an encrypted channel decrypts with the shared secret`, async () => {
      const { channel } = await subscribe(await over({ masterKey: MASTER_KEY }), unique('private-encrypted'));
      const event = next(channel, 'e');
      await api.trigger(channel.name, 'e', { text: 'ä€😀' });
      assert.deepEqual(await event, { text: 'ä€😀' });
    });

    test(`${transport}: a private channel counts its subscribers for them`, async () => {
      const [one, two] = await Promise.all([over(), over()]);
      const name = unique('private');
      const { channel } = await subscribe(one, name);
      await until('one subscriber', () => channel.subscriptionCount === 1);
      const second = next(channel, 'pusher:subscription_count', ({ subscription_count: count }) => count === 2);
      await subscribe(two, name);
      await second;
      const left = next(channel, 'pusher:subscription_count', ({ subscription_count: count }) => count === 1);
      two.unsubscribe(name);
      await left;
    });

    test(`${transport}: a client event reaches the others only, with the sender's user id in presence channels`, async () => {
      const userOf = (id) => ({ channelData: { user_id: id, user_info: {} } });
      const [sender, other] = await Promise.all([over(userOf('ada')), over(userOf('bob'))]);
      for (const prefix of ['private', 'presence']) {
        const name = unique(prefix);
        const [{ channel: own }, { channel: others }] = await Promise.all([subscribe(sender, name), subscribe(other, name)]);
        let echoed = 0;
        own.bind('client-e', () => { echoed += 1; });
        const received = new Promise((resolve) => { others.bind('client-e', (data, metadata) => resolve([data, metadata])); });
        assert.equal(own.trigger('client-e', { a: [1] }), true);
        assert.deepEqual(await received, [{ a: [1] }, prefix === 'presence' ? { user_id: 'ada' } : {}]);
        await fence(own);
        assert.equal(echoed, 0);
      }
    });
  });
}

describe('client events', () => {
  test('too many get error 4301 each, and the connection stays', async () => {
    const SENT = 100;
    const [sender, other] = await Promise.all([connect(), connect()]);
    const name = unique('private');
    const [{ channel: own }, { channel: others }] = await Promise.all([subscribe(sender, name), subscribe(other, name)]);
    const errors = [];
    sender.connection.bind('error', (error) => errors.push(errorCode(error)));
    let received = 0;
    others.bind('client-e', () => { received += 1; });
    for (let n = 0; n < SENT; n += 1) own.trigger('client-e', { n });
    await until('an answer to each', () => received + errors.length === SENT);
    assert.ok(received >= 10, `only ${received} of the 10 that are allowed in a second were delivered`);
    assert.ok(errors.length > 0);
    assert.ok(errors.every((code) => code === 4301), `errors were ${errors}`);
    assert.equal(sender.connection.state, 'connected');
  });

  const refused = {
    'on a public channel': { prefix: 'public' },
    'where the application has them off': { prefix: 'private', app: { appId: '17', key: 'plain-key', secret: 'plain-secret' } },
  };
  for (const [where, { prefix, app }] of Object.entries(refused)) {
    test(`${where} they are refused with an error event`, async () => {
      const [sender, other] = await Promise.all([connect({ app }), connect({ app })]);
      const name = unique(prefix);
      const [{ channel: own }, { channel: others }] = await Promise.all([subscribe(sender, name), subscribe(other, name)]);
      let received = 0;
      others.bind('client-e', () => { received += 1; });
      const error = next(sender.connection, 'error');
      own.trigger('client-e', {});
      assert.equal((await error).type, 'PusherError');
      await fence(others, server(app));
      assert.equal(received, 0);
      assert.equal(sender.connection.state, 'connected');
    });
  }
});

describe('cache channels', () => {
  for (const prefix of ['cache', 'private-cache', 'presence-cache', 'private-encrypted-cache']) {
    const options = { masterKey: MASTER_KEY, ...(prefix.startsWith('presence') ? { channelData: { user_id: '1' } } : {}) };

    test(`${prefix}-: a new subscriber gets the last event, right after the confirmation`, async () => {
      const name = unique(prefix);
      const publisher = await subscribe(await connect(options), name);
      await fence(publisher.channel, api);
      await api.trigger(name, 'first', { n: 1 });
      await api.trigger(name, 'second', { n: 2 });
      const pusher = await connect(options);
      const messages = record(pusher);
      const channel = pusher.subscribe(name);
      assert.deepEqual(await next(channel, 'second'), { n: 2 });
      const events = messages.filter((message) => message.channel === name).map(({ event }) => event);
      assert.deepEqual(events.slice(0, 2), ['pusher_internal:subscription_succeeded', 'second']);
      assert.ok(!events.includes('first'));
    });

    test(`${prefix}-: an empty channel says so`, async () => {
      const pusher = await connect(options);
      const channel = pusher.subscribe(unique(prefix));
      await next(channel, 'pusher:cache_miss');
    });
  }

  test('client events are not kept', async () => {
    const name = unique('private-cache');
    const [sender, other] = await Promise.all([connect(), connect()]);
    const [{ channel: own }, { channel: others }] = await Promise.all([subscribe(sender, name), subscribe(other, name)]);
    const received = next(others, 'client-e');
    own.trigger('client-e', {});
    await received;
    const late = await connect();
    await next(late.subscribe(name), 'pusher:cache_miss');
  });

  test('the word cache inside a name makes no cache channel', async () => {
    const name = unique('my-cache-public');
    await api.trigger(name, 'e', {});
    const pusher = await connect();
    const messages = record(pusher);
    const { channel } = await subscribe(pusher, name);
    await fence(channel);
    assert.deepEqual(messages.map(({ event }) => event).filter((event) => event === 'e' || event === 'pusher:cache_miss'), []);
  });
});

describe('presence', () => {
  const member = (id, info) => ({ channelData: { user_id: id, ...(info ? { user_info: info } : {}) } });

  test('a user with two connections is one member, and leaves with the last', async () => {
    const name = unique('presence');
    const [watcher, first, second] = await Promise.all([connect(member('watcher')), connect(member('ada')), connect(member('ada'))]);
    const { channel } = await subscribe(watcher, name);
    const changes = [];
    channel.bind('pusher:member_added', ({ id }) => changes.push(`+${id}`));
    channel.bind('pusher:member_removed', ({ id }) => changes.push(`-${id}`));
    await subscribe(first, name);
    const { data } = await subscribe(second, name);
    assert.equal(data.count, 2);
    first.unsubscribe(name);
    await fence(channel);
    assert.deepEqual(changes, ['+ada']);
    second.disconnect();
    await until('the member left', () => changes.length === 2);
    assert.deepEqual(changes, ['+ada', '-ada']);
    assert.equal(channel.members.count, 1);
  });

  test('numeric ids are the same user as their text', async () => {
    const name = unique('presence');
    const [number, text] = await Promise.all([connect(member(10, { name: 'Mr. Channels' })), connect(member('10', { name: 'Mr. Channels' }))]);
    const { data } = await subscribe(number, name);
    assert.deepEqual(data.members, { 10: { name: 'Mr. Channels' } });
    assert.deepEqual(data.me, { id: 10, info: { name: 'Mr. Channels' } });
    assert.equal((await subscribe(text, name)).data.count, 1);
    assert.deepEqual(await (await api.get({ path: `/channels/${name}/users` })).json(), { users: [{ id: '10' }] });
  });

  test('the joining connection is in its own list and hears of no joining of itself', async () => {
    const pusher = await connect(member('ada'));
    const messages = record(pusher);
    const { channel, data } = await subscribe(pusher, unique('presence'));
    assert.deepEqual(Object.keys(data.members), ['ada']);
    await fence(channel);
    assert.ok(!messages.some(({ event }) => event === 'pusher_internal:member_added'));
  });

  test('a full channel refuses the next user, not the next connection of a member', async () => {
    const name = unique('presence');
    const crowd = await connect({ channelData: () => ({ user_id: unique('member') }) });
    await subscribe(crowd, name);
    const others = await Promise.all(Array.from({ length: 98 }, () => connect({ channelData: () => ({ user_id: unique('member') }) })));
    await Promise.all(others.map((pusher) => subscribe(pusher, name)));
    const last = await connect(member('last'));
    assert.equal((await subscribe(last, name)).data.count, 100);
    const extra = await connect(member('extra'));
    const error = await next(extra.subscribe(name), 'pusher:subscription_error');
    assert.equal(error.type, 'LimitReached');
    await subscribe(await connect(member('last')), name);
  });

  for (const [what, channelData] of Object.entries({ 'no user id': { user_info: {} }, 'an empty user id': { user_id: '' }, 'an over-long user id': { user_id: 'x'.repeat(129) }, 'over 1 KiB': { user_id: '1', user_info: { text: 'x'.repeat(1024) } } })) {
    test(`channel_data with ${what} is refused`, async () => {
      const pusher = await connect({ channelData });
      const error = await next(pusher.subscribe(unique('presence')), 'pusher:subscription_error');
      assert.ok(error.status >= 400, JSON.stringify(error));
      assert.equal(pusher.connection.state, 'connected');
    });
  }
});

describe('refused subscriptions', () => {
  const forged = server({ ...APP, secret: 'not-the-secret' });
  const signedBy = (sign) => connect({ channelAuthorization: { customHandler: (params, done) => done(null, sign(params)) } });

  test('a wrong signature: the channel and the connection are told, and the connection stays', async () => {
    const pusher = await signedBy(({ socketId, channelName }) => forged.authorizeChannel(socketId, channelName));
    const name = unique('private');
    const error = next(pusher.connection, 'error');
    const refusal = await next(pusher.subscribe(name), 'pusher:subscription_error');
    assert.deepEqual([refusal.type, refusal.status], ['AuthError', 401]);
    assert.match((await error).data.message, new RegExp(`^Invalid signature: Expected HMAC SHA256 hex digest of ${pusher.connection.socket_id}:${name}, but got `));
    assert.equal(pusher.connection.state, 'connected');
  });

  test('an unknown key in the signature', async () => {
    const pusher = await signedBy(() => ({ auth: 'another-key:0123' }));
    const error = next(pusher.connection, 'error');
    await next(pusher.subscribe(unique('private')), 'pusher:subscription_error');
    assert.match((await error).data.message, /^Invalid key in subscription auth data: 'another-key'/);
  });

  test('a signature without a key', async () => {
    const pusher = await signedBy(() => ({ auth: 'no-colon' }));
    const error = next(pusher.connection, 'error');
    await next(pusher.subscribe(unique('private')), 'pusher:subscription_error');
    assert.match((await error).data.message, /^Invalid format: auth must have the format key:signature/);
  });

  test('a second subscription is an error that leaves the first alone', async () => {
    const pusher = await connect();
    const { channel } = await subscribe(pusher, unique('public'));
    const error = next(pusher.connection, 'error');
    pusher.send_event('pusher:subscribe', { channel: channel.name, auth: '' });
    assert.equal((await error).data.message, `Existing subscription to channel ${channel.name}`);
    await fence(channel);
  });

  test('channel_data is signed on private channels too, and null counts as none', async () => {
    const { socketId, name, pusher } = await connect().then((p) => ({ pusher: p, socketId: p.connection.socket_id, name: unique('private') }));
    const answer = next(pusher.connection, 'message', ({ event, channel }) => channel === name && event === 'pusher_internal:subscription_succeeded');
    pusher.send_event('pusher:subscribe', { channel: name, ...api.authorizeChannel(socketId, name, { user_id: '1' }) });
    await answer;
    const other = unique('private');
    const second = next(pusher.connection, 'message', ({ event, channel }) => channel === other && event === 'pusher_internal:subscription_succeeded');
    pusher.send_event('pusher:subscribe', { channel: other, channel_data: null, auth: api.authorizeChannel(socketId, other).auth });
    await second;
  });

  for (const name of ['with space', 'sl/ash', 'x'.repeat(201), 'ünïcode', '']) {
    test(`the channel name '${name.slice(0, 12)}' (${name.length} characters)`, async () => {
      const pusher = await connect();
      const error = next(pusher.connection, 'error');
      pusher.send_event('pusher:subscribe', { channel: name, auth: '' });
      await error;
      assert.equal(pusher.connection.state, 'connected');
    });
  }

  test('every character that is allowed in a name works', async () => {
    const { channel } = await subscribe(await connect(), unique('A-z_0=9@a,b.c;d'));
    await fence(channel);
  });
});
