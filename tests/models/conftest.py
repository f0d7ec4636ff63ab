"""Tests with other frameworks, which are collected only when asked for.

`KERAS_CONVT_TEST_MODELS=1` asks; then one that is missing is a failure.
"""

import os

collect_ignore_glob = (
    [] if os.environ.get("KERAS_CONVT_TEST_MODELS") == "1" else ["test_*.py"]
)
