"""`make audit`: what was not checked never counts as safe."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.docs.pages import ROOT
from tests.tables import each

SAFE: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "CVE-2"}]}


def test_the_report_says_what_was_found_and_what_was_not_checked() -> None:
    for row in each(
        [
            (json.dumps({"dependencies": [SAFE]}), 0, "1 dependencies, no known vulnerability."),
            (json.dumps({"dependencies": [SAFE, BAD]}), 1, "c 2: CVE-1, mended in 2.1"),
            (json.dumps({"dependencies": [BAD]}), 1, "c 2: CVE-2, mended in no version yet"),
            (json.dumps({"dependencies": [SAFE, SKIPPED]}), 3, "1 of 2 dependencies were not checked"),
            (json.dumps({"dependencies": [SKIPPED, BAD]}), 1, "1 of 2 dependencies were not checked"),
            ("", 3, "Nothing was checked"),
            ("[]", 3, "Nothing was checked"),
            ("<html>", 3, "Nothing was checked"),
        ]
    ):
        with row as (given, code, says):
            program = [sys.executable, str(ROOT / "deploy" / "audit-report")]
            ran = subprocess.run(program, input=given, capture_output=True, text=True)
            assert (ran.returncode, says in ran.stdout + ran.stderr) == (code, True), ran
