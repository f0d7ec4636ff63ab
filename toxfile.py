"""What tox does in this repository besides tox.ini.

All environments together take 25 GB. Where `TOX_DISCARD=1` is set, each one is
removed as soon as it was run, so that two or three are enough.
"""

import os
import shutil

from tox.plugin import impl


@impl
def tox_after_run_commands(tox_env, exit_code, outcomes):
    """Remove the environment that was run, where that is asked for."""
    if os.environ.get("TOX_DISCARD") == "1":
        shutil.rmtree(tox_env.env_dir, ignore_errors=True)
