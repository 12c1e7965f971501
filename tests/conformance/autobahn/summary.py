"""summary.py INDEX: what an index.json in Autobahn's layout says.

{agent: {case: {"behavior": ..., "behaviorClose": ..., "remoteCloseCode": ...}}}

Prints the cases that failed or were not strict, and a last line `N passed, N failed`. NON-STRICT and INFORMATIONAL
are passes, as in Autobahn's own reports; UNIMPLEMENTED is a failure, because cases of what we do not implement are
not run. Exits 1 if a case failed or none ran.
"""

import json
import sys

PASSES = ("OK", "NON-STRICT", "INFORMATIONAL")


def numbers(case):
    return [int(part) for part in case.split(".")]


def main(path):
    try:
        with open(path) as file:
            agents = json.load(file)
    except OSError as error:
        sys.exit(f"no report: {error}")
    passed, failed = 0, 0
    for cases in agents.values():
        for case in sorted(cases, key=numbers):
            result = cases[case]
            verdicts = (result["behavior"], result["behaviorClose"])
            if all(verdict in PASSES for verdict in verdicts):
                passed += 1
                if "NON-STRICT" in verdicts:
                    print(f"not strict {case}")
            else:
                failed += 1
                print(f"FAILED {case}: {verdicts[0]}, close {verdicts[1]} {result.get('remoteCloseCode')}")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


sys.exit(main(sys.argv[1]))
