'use strict';
// A helper of jasmine: writes "PASSED FAILED" to the file TOTALS at the end.
const fs = require('fs');

const count = { passed: 0, failed: 0 };
jasmine.getEnv().addReporter({
  specDone: ({ status }) => { if (status in count) count[status] += 1; },
  jasmineDone: ({ failedExpectations }) => {
    // Errors outside any spec (in afterAll, or while loading) belong to the suite.
    fs.writeFileSync(process.env.TOTALS, `${count.passed} ${count.failed + failedExpectations.length}\n`);
  },
});
