'use strict';
// Mocha's spec reporter, which also writes "PASSED FAILED" to the file named by --reporter-options output=FILE.
const fs = require('fs');
const { Spec } = require('mocha').reporters;

module.exports = class extends Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => fs.writeFileSync(options.reporterOptions.output, `${this.stats.passes} ${this.stats.failures}\n`));
  }
};
