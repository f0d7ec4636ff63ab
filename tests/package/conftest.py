"""Tests of the built sdist and wheel, collected only when asked for.

`KERAS_CONVT_TEST_PACKAGE` asks, and names the folder they lie in.
"""

import os

collect_ignore_glob = (
    [] if "KERAS_CONVT_TEST_PACKAGE" in os.environ else ["test_*.py"]
)
