"""Runs the test_*.py beside it and writes "PASSED FAILED SKIPPED" to the file that TOTALS names."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    suite = unittest.defaultTestLoader.discover(HERE, pattern="test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    # An error while loading a file is an error without a test.
    passed = max(0, result.testsRun - failed - skipped)
    with open(os.environ["TOTALS"], "w", encoding="utf-8") as totals:
        totals.write(f"{passed} {failed} {skipped}\n")


main()
