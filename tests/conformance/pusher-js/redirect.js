'use strict';
// Preloaded into Node (--require): connections to *.pusher.com go to the server under test, port 80 to its plain port and
// every other to its TLS port. Only the address of the TCP connection changes; Host and SNI stay what the client meant.
const net = require('net');

const { REDIRECT_HOST, REDIRECT_PORT, REDIRECT_TLS_PORT } = process.env;
const { connect } = net.Socket.prototype;

function redirected(options) {
  const port = Number(options.port) === 80 ? REDIRECT_PORT : REDIRECT_TLS_PORT;
  return { ...options, host: REDIRECT_HOST, port: Number(port), servername: options.servername || options.host };
}

// http, https and tls all end here, with (options, callback) or with both in one array that net has normalised.
net.Socket.prototype.connect = function (...args) {
  const list = Array.isArray(args[0]) ? args[0] : args;
  if (list[0] && /(^|\.)pusher\.com$/.test(list[0].host)) list[0] = redirected(list[0]);
  return connect.apply(this, args);
};
