'use strict';
// The karma configuration of pusher-js for `make web_integration`, with what is local to us: one headless Chromium that
// resolves *.pusher.com to the server under test, and a reporter that counts.
const fs = require('fs');
const path = require('path');

const { PUSHER_JS, TOTALS, REDIRECT_HOST, REDIRECT_PORT, REDIRECT_TLS_PORT } = process.env;
const theirs = require(path.join(PUSHER_JS, 'spec/config/karma/config.integration.js'));

const names = ['ws', 'sockjs', 'api'].flatMap((kind) => ['mt1', 'eu'].map((cluster) => `${kind}-${cluster}.pusher.com`));
const hostRules = [
  ...names.flatMap((name) => [`MAP ${name}:80 ${REDIRECT_HOST}:${REDIRECT_PORT}`, `MAP ${name}:443 ${REDIRECT_HOST}:${REDIRECT_TLS_PORT}`]),
  // Nothing else may leave this machine: the discard port refuses.
  'MAP * 127.0.0.1:9', 'EXCLUDE localhost', `EXCLUDE ${REDIRECT_HOST}`,
];

function CountingReporter(baseReporterDecorator) {
  baseReporterDecorator(this);
  let passed = 0;
  let failed = 0;
  this.specSuccess = (browser, { suite, description }) => {
    passed += 1;
    this.write(`ok ${suite.join(' ')} ${description}\n`);
  };
  this.specFailure = (browser, { suite, description, log }) => {
    failed += 1;
    this.write(`FAILED ${suite.join(' ')} ${description}\n  ${log.join('\n  ')}\n`);
  };
  this.onRunComplete = (browsers, { error }) => {
    if (error && failed === 0) failed = 1;
    fs.writeFileSync(TOTALS, `${passed} ${failed}\n`);
  };
}
CountingReporter.$inject = ['baseReporterDecorator'];

module.exports = (karma) => karma.set({
  ...theirs,
  basePath: PUSHER_JS,
  // `require` here, not names: karma would look for plugins beside itself only.
  plugins: [...['karma-jasmine', 'karma-webpack', 'karma-chrome-launcher'].map((name) => require(name)), { 'reporter:counting': ['type', CountingReporter] }],
  reporters: ['counting'],
  colors: false,
  autoWatch: false,
  logLevel: karma.LOG_WARN,
  browsers: ['Chromium'],
  captureTimeout: 180000,
  browserNoActivityTimeout: 300000,
  customLaunchers: {
    Chromium: {
      base: 'ChromeHeadless',
      flags: [
        // Root has no sandbox, and /dev/shm of a container is too small.
        '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu',
        // The specs ask for http:// and ws:// after https:// on the same host (their own configuration says why).
        '--disable-web-security', '--ignore-certificate-errors', '--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable',
        '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
        `--host-resolver-rules=${hostRules.join(', ')}`,
      ],
    },
  },
});
