'use strict';
// A server of a test's own, for what would disturb the server that all tests share: draining, other settings.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const { SERVER_BIN, SUITE_CONFIG } = process.env;

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function isReady(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch {
    return false;
  }
}

/** Starts a server with settings as environment variables; resolves when it is ready. `stop` ends it at once. */
async function startServer(settings = {}) {
  const listen = await freePort();
  const privatePort = await freePort();
  const data = fs.mkdtempSync(path.join(os.tmpdir(), 'courant-test.'));
  const child = spawn(SERVER_BIN, ['serve', '--config', SUITE_CONFIG], {
    env: {
      ...process.env, COURANT_SERVER_LISTEN: `127.0.0.1:${listen}`, COURANT_SERVER_PRIVATE_LISTEN: `127.0.0.1:${privatePort}`,
      COURANT_SERVER_DATA_DIRECTORY: data, ...settings,
    },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit').then(([code, signal]) => { fs.rmSync(data, { recursive: true, force: true }); return code ?? signal; });
  const alive = () => child.exitCode === null && child.signalCode === null;
  while (alive() && !await isReady(privatePort)) await new Promise((resolve) => setTimeout(resolve, 50));
  if (!alive()) throw new Error(`the server ended with ${await exited} before it was ready`);
  return {
    port: listen, exited, terminate: () => child.kill('SIGTERM'),
    stop: async () => { if (alive()) child.kill('SIGKILL'); await exited; },
  };
}

/** A load balancer: passes connections on to the port that `target` names at that moment. */
async function startBalancer(target) {
  const balancer = { target };
  const connections = new Set();
  const listener = net.createServer((inbound) => {
    const outbound = net.connect(balancer.target, '127.0.0.1');
    for (const [socket, other] of [[inbound, outbound], [outbound, inbound]]) {
      connections.add(socket);
      socket.on('error', () => {}).on('close', () => { connections.delete(socket); other.destroy(); });
    }
    inbound.pipe(outbound).pipe(inbound);
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  balancer.port = listener.address().port;
  balancer.stop = () => { listener.close(); for (const socket of connections) socket.destroy(); };
  return balancer;
}

module.exports = { startBalancer, startServer };
