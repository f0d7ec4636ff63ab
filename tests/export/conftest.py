"""Tests of exported models, which are collected only when asked for.

`KERAS_CONVT_TEST_EXPORT=1` asks, and `all` asks for every layer there is. A
converter or a runtime that is missing is then a failure.
"""

import os

collect_ignore_glob = (
    [] if os.environ.get("KERAS_CONVT_TEST_EXPORT") else ["test_*.py"]
)
