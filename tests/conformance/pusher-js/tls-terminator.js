'use strict';
// tls-terminator.js LISTEN HOST PORT CERTIFICATES: takes TLS off connections to 127.0.0.1:LISTEN and passes them to HOST:PORT.
// The specs need ws:// and wss:// to reach the same server, which listens with TLS or without, not both.
const fs = require('fs');
const net = require('net');
const tls = require('tls');
const [listen, host, port, certificates] = process.argv.slice(2);

const options = {
  cert: fs.readFileSync(`${certificates}/cert.pem`),
  key: fs.readFileSync(`${certificates}/key.pem`),
  ALPNProtocols: ['http/1.1'],
};
const server = tls.createServer(options, (client) => {
  const upstream = net.connect({ host, port: Number(port), noDelay: true });
  client.setNoDelay(true);
  client.pipe(upstream).pipe(client);
  for (const [one, other] of [[client, upstream], [upstream, client]]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
});
server.listen(Number(listen), '127.0.0.1');
