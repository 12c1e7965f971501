'use strict';
// The HTTP API through the official Node SDK: what it answers, and each error text that an official live test expects.
const assert = require('node:assert/strict');
const { createHash, createHmac } = require('node:crypto');
const { afterEach, describe } = require('node:test');
const { APP, HOST, PORT, connect, disconnectAll, fence, next, server, subscribe, test, unique, until } = require('../harness');

const api = server();

afterEach(disconnectAll);

const get = async (path, params = {}) => (await api.get({ path, params })).json();
const post = async (path, body, params = {}) => (await api.post({ path, body, params })).json();

/** The status, type and text of an answer that is an error. */
async function refusal(request) {
  const error = await request.then(() => assert.fail('the request succeeded'), (e) => e);
  assert.equal(error.name, 'PusherRequestError', error.stack);
  return { status: error.status, body: error.body };
}

/** A request signed by hand, for what the SDK does not let one send. */
function signed(method, path, { body = '', params = {}, key = APP.key, secret = APP.secret, timestamp = Math.floor(Date.now() / 1000), signedPath = path, md5 } = {}) {
  const query = { ...params, auth_key: key, auth_timestamp: String(timestamp), auth_version: '1.0' };
  if (body || md5) query.body_md5 = md5 ?? createHash('md5').update(body).digest('hex');
  const text = Object.keys(query).sort().map((name) => `${name}=${query[name]}`).join('&');
  query.auth_signature = createHmac('sha256', secret).update(`${method}\n${signedPath}\n${text}`).digest('hex');
  return fetch(`http://${HOST}:${PORT}${path}?${new URLSearchParams(query)}`, { method, body: body || undefined, headers: body ? { 'content-type': 'application/json' } : {} });
}

describe('publishing', () => {
  test('answers {} with its content type', async () => {
    const response = await api.trigger('any', 'e', {});
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.equal(await response.text(), '{}');
    assert.equal(await (await api.triggerBatch([{ channel: 'any', name: 'e', data: '' }])).text(), '{}');
  });

  test('answers with the attributes that info asks for', async () => {
    const [one, presence] = [unique('public'), unique('presence')];
    const pusher = await connect({ channelData: { user_id: '1' } });
    await Promise.all([subscribe(pusher, one), subscribe(pusher, presence)]);
    const info = 'user_count,subscription_count';
    assert.deepEqual(await post('/events', { name: 'e', data: '', channels: [one, presence], info }),
      { channels: { [one]: { subscription_count: 1 }, [presence]: { user_count: 1, subscription_count: 1 } } });
    assert.deepEqual(await post('/batch_events', { batch: [{ name: 'e', data: '', channel: one, info }, { name: 'e', data: '', channel: one }] }),
      { batch: [{ subscription_count: 1 }, {}] });
  });

  test('takes parameters in the query too', async () => {
    const { channel } = await subscribe(await connect(), unique('public'));
    const event = next(channel, 'e');
    const response = await signed('POST', `/apps/${APP.appId}/events`, { params: { name: 'e', data: '{"n":1}', channel: channel.name } });
    assert.equal(response.status, 200, await response.clone().text());
    assert.deepEqual(await event, { n: 1 });
  });

  test('the deprecated endpoint answers 202', async () => {
    const { channel } = await subscribe(await connect(), unique('public'));
    const event = next(channel, 'e');
    const response = await signed('POST', `/apps/${APP.appId}/channels/${channel.name}/events`, { body: '{"n":1}', params: { name: 'e' } });
    assert.equal(response.status, 202, await response.clone().text());
    assert.deepEqual(await event, { n: 1 });
  });

  test('10 KiB of data are delivered, one byte more is refused', async () => {
    const { channel } = await subscribe(await connect(), unique('public'));
    const event = next(channel, 'big');
    await api.trigger(channel.name, 'big', 'x'.repeat(10240));
    assert.equal((await event).length, 10240);
    assert.deepEqual(await refusal(api.trigger(channel.name, 'big', 'x'.repeat(10241))), {
      status: 413,
      body: 'The data content of this event exceeds the allowed maximum (10240 bytes). See https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info\n',
    });
  });

  const wrong = {
    'no channel': [{ name: 'e', data: '' }, 400, 'Missing required parameter: channel\n'],
    'data that is no text': [{ name: 'e', data: { a: 1 }, channel: 'c' }, 400],
    'a socket id that is none': [{ name: 'e', data: '', channel: 'c', socket_id: 'me' }, 400],
    'a channel name with a space': [{ name: 'e', data: '', channel: 'a b' }, 400],
    'no name': [{ data: '', channel: 'c' }, 400],
    'an unknown attribute': [{ name: 'e', data: '', channel: 'c', info: 'colour' }, 400, /info should be a comma separated list of attributes/],
  };
  for (const [what, [body, status, text]] of Object.entries(wrong)) {
    test(`${what} is refused`, async () => {
      const answer = await refusal(api.post({ path: '/events', body }));
      assert.equal(answer.status, status);
      if (text instanceof RegExp) assert.match(answer.body, text);
      else if (text) assert.equal(answer.body, text);
      assert.ok(answer.body.endsWith('\n'), JSON.stringify(answer.body));
    });
  }

  test('a null socket_id counts as none', async () => {
    assert.deepEqual(await post('/events', { name: 'e', data: '', channels: ['c'], socket_id: null }), {});
  });

  test('a batch of 11, and an item without a channel, are refused', async () => {
    const item = { channel: 'c', name: 'e', data: '' };
    assert.deepEqual(await refusal(api.triggerBatch(Array(11).fill(item))), { status: 400, body: 'Batch too large (11 > 10)\n' });
    assert.deepEqual(await refusal(api.post({ path: '/batch_events', body: { batch: [item, { name: 'e', data: '' }] } })), { status: 400, body: 'Missing required parameter: channel\n' });
  });

  test('a body that is no JSON, and one that is no object, are refused', async () => {
    for (const body of ['{', '[]', '"text"', 'null', '\u0000']) {
      const response = await signed('POST', `/apps/${APP.appId}/events`, { body });
      assert.equal(response.status, 400, `${body}: ${await response.clone().text()}`);
      assert.match(response.headers.get('content-type'), /^text\/plain/);
    }
  });
});

describe('asking about channels', () => {
  test('lists occupied channels with nothing but what was asked for', async () => {
    const [one, presence] = [unique('public'), unique('presence')];
    const pusher = await connect({ channelData: { user_id: '1' } });
    await Promise.all([subscribe(pusher, one), subscribe(pusher, presence)]);
    const { channels } = await get('/channels');
    assert.deepEqual([channels[one], channels[presence]], [{}, {}]);
    assert.deepEqual(await get('/channels', { filter_by_prefix: presence, info: 'user_count' }), { channels: { [presence]: { user_count: 1 } } });
    assert.deepEqual(await get('/channels', { filter_by_prefix: unique('none') }), { channels: {} });
  });

  test('describes a channel', async () => {
    const [one, presence, cache] = [unique('public'), unique('presence'), unique('cache')];
    const [first, second] = await Promise.all([connect({ channelData: { user_id: '1' } }), connect({ channelData: { user_id: '1' } })]);
    for (const pusher of [first, second]) await Promise.all([subscribe(pusher, one), subscribe(pusher, presence)]);
    const { channel } = await subscribe(first, cache);
    assert.deepEqual(await get(`/channels/${one}`), { occupied: true });
    assert.deepEqual(await get(`/channels/${one}`, { info: 'subscription_count' }), { occupied: true, subscription_count: 2 });
    assert.deepEqual(await get(`/channels/${presence}`, { info: 'user_count,subscription_count' }), { occupied: true, user_count: 1, subscription_count: 2 });
    assert.equal((await get(`/channels/${cache}`, { info: 'cache' })).cache, null);
    await fence(channel);
    const kept = (await get(`/channels/${cache}`, { info: 'cache' })).cache;
    assert.equal(kept.data, '{}');
    assert.ok(kept.ttl > 0 && kept.ttl <= 1800, JSON.stringify(kept));
    assert.deepEqual(await get(`/channels/${presence}/users`), { users: [{ id: '1' }] });
  });

  test('describes channels that nobody has', async () => {
    const presence = unique('presence');
    assert.deepEqual(await get(`/channels/${unique('public')}`), { occupied: false });
    assert.deepEqual(await get(`/channels/${presence}`, { info: 'user_count,subscription_count' }), { occupied: false, user_count: 0, subscription_count: 0 });
    assert.deepEqual(await get(`/channels/${presence}/users`), { users: [] });
  });

  test('a channel is vacated when its last connection has gone', async () => {
    const pusher = await connect();
    const { channel } = await subscribe(pusher, unique('public'));
    pusher.disconnect();
    await until('vacated', async () => !(await get(`/channels/${channel.name}`)).occupied);
  });

  test('counts and users are there for presence channels alone', async () => {
    const texts = [
      ['/channels', { info: 'user_count' }, 'user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-\n'],
      ['/channels/public', { info: 'user_count' }, 'Cannot retrieve the user count unless the channel is a presence channel\n'],
      ['/channels/public/users', {}, 'Users can only be retrieved for presence channels\n'],
    ];
    for (const [path, params, body] of texts) assert.deepEqual(await refusal(api.get({ path, params })), { status: 400, body });
  });

  test('names with every allowed character can be asked about, escaped or not', async () => {
    const { channel } = await subscribe(await connect(), unique('A-z_0=9@a,b.c;d'));
    const path = `/apps/${APP.appId}/channels/${channel.name}`;
    assert.deepEqual(await (await signed('GET', path)).json(), { occupied: true });
    const escaped = `/apps/${APP.appId}/channels/${encodeURIComponent(channel.name)}`;
    assert.deepEqual(await (await signed('GET', escaped)).json(), { occupied: true });
    assert.deepEqual(await (await signed('GET', escaped, { signedPath: path })).json(), { occupied: true });
  });
});

describe('signatures', () => {
  const path = `/apps/${APP.appId}/channels`;
  const denied = {
    'a wrong secret': { secret: 'not-the-secret' },
    'an unknown key': { key: 'unknown-key' },
    'the key of another application': { key: 'plain-key', secret: 'plain-secret' },
    'a time 11 minutes ago': { timestamp: Math.floor(Date.now() / 1000) - 660 },
    'a time in 11 minutes': { timestamp: Math.floor(Date.now() / 1000) + 660 },
    'another path': { signedPath: '/apps/1/channels' },
  };
  for (const [what, options] of Object.entries(denied)) {
    test(`${what} is refused with 401 and a reason`, async () => {
      const response = await signed('GET', path, options);
      assert.equal(response.status, 401);
      assert.match(await response.text(), /\S.*\n$/);
    });
  }

  test('a body that is not the one signed is refused', async () => {
    const response = await signed('POST', `/apps/${APP.appId}/events`, { body: '{"name":"e","data":"","channel":"c"}', md5: '0'.repeat(32) });
    assert.equal(response.status, 401);
  });

  test('no signature at all is refused', async () => {
    assert.equal((await fetch(`http://${HOST}:${PORT}${path}`)).status, 401);
  });

  test('body_md5 of nothing may be signed on GET, as the Python SDK does', async () => {
    const response = await signed('GET', path, { md5: createHash('md5').update('').digest('hex') });
    assert.equal(response.status, 200, await response.text());
  });

  test('each active key of an application signs, a disabled one does not', async () => {
    const [older, newer, retired] = ['old', 'new', 'retired'].map((name) => server({ appId: '16', key: `${name}-key`, secret: `${name}-secret` }));
    const { channel } = await subscribe(await connect({ app: { appId: '16', key: 'new-key', secret: 'new-secret' } }), unique('private'));
    for (const sdk of [older, newer]) await fence(channel, sdk);
    assert.equal((await refusal(retired.get({ path: '/channels' }))).status, 401);
  });

  test('an application that is disabled is refused with 403', async () => {
    const response = await signed('GET', '/apps/11/channels', { key: 'disabled-key', secret: 'disabled-secret' });
    assert.equal(response.status, 403);
  });
});
