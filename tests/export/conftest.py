"""Tests of exported models, which are collected only when asked for.

`KERAS_CONVT_TEST_EXPORT=1` asks; then a converter or a runtime that is missing
is a failure.
"""

import os

collect_ignore_glob = (
    [] if os.environ.get("KERAS_CONVT_TEST_EXPORT") == "1" else ["test_*.py"]
)
