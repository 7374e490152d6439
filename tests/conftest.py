"""For all tests: the daemons that they start note themselves in a state folder of the tests, not in the user's."""

import atexit
import os
import shutil
import tempfile

_STATE = tempfile.mkdtemp(prefix="codexd-tests-")
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE  # before any test module copies the environment
