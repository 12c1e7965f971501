'use strict';
// What `make node_integration` of pusher-js does first, without webpack's command line: bundles the specs for Node.
const path = require('path');
const webpack = require('webpack');

const config = require(path.join(process.env.PUSHER_JS, 'spec/config/jasmine/webpack.integration.js'));
webpack(config, (error, stats) => {
  if (error || stats.hasErrors()) {
    console.error(error || stats.toString({ all: false, errors: true }));
    process.exit(1);
  }
});
