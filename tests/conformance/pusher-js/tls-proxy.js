'use strict';
// tls-proxy.js terminate|originate LISTEN HOST PORT CERTIFICATES: passes connections to 127.0.0.1:LISTEN on to HOST:PORT, and takes
// TLS off them or puts it on. The specs need both ws:// and wss:// of one server, which listens with TLS or without.
const fs = require('fs');
const net = require('net');
const tls = require('tls');
const [mode, listen, host, port, certificates] = process.argv.slice(2);

const read = (name) => fs.readFileSync(`${certificates}/${name}.pem`);
const upstream = { host, port: Number(port) };

function pass(client, server) {
  client.pipe(server).pipe(client);
  for (const [one, other] of [[client, server], [server, client]]) {
    one.setNoDelay(true);
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

const proxy = mode === 'terminate'
  ? tls.createServer({ cert: read('cert'), key: read('key'), ALPNProtocols: ['http/1.1'] }, (client) => pass(client, net.connect(upstream)))
  : net.createServer((client) => pass(client, tls.connect({ ...upstream, ca: read('ca'), servername: 'ws-mt1.pusher.com' })));
proxy.listen(Number(listen), '127.0.0.1');
