'use strict';
// A reporter for Node's test runner: names each test that failed, and why; writes "PASSED FAILED SKIPPED" to the file TOTALS.
const fs = require('node:fs');

module.exports = async function* totals(events) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type === 'test:stderr' || type === 'test:stdout') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite' || data.name.endsWith('.test.js')) {
      // A group, or a file as a whole: its tests count, unless it broke before it had any.
      const reason = data.details.error?.failureType;
      if (type === 'test:pass' || reason === 'subtestsFailed') continue;
    }
    if (data.skip !== undefined && data.skip !== false) {
      count.skipped += 1;
      yield `skipped ${data.name} (${data.skip === true ? 'no reason given' : data.skip})\n`;
    } else if (type === 'test:pass') {
      count.passed += 1;
      yield `ok ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
    } else {
      count.failed += 1;
      const error = data.details.error?.cause ?? data.details.error;
      yield `FAILED ${data.name}\n  ${String(error?.stack ?? error).replaceAll('\n', '\n  ')}\n`;
    }
  }
  fs.writeFileSync(process.env.TOTALS, `${count.passed} ${count.failed} ${count.skipped}\n`);
};
