"""For all tests: where the daemons that they start note themselves, and what Hypothesis may complain about."""

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

_STATE = tempfile.mkdtemp(prefix="codexd-tests-")
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE  # before any test module copies the environment: not in the user's own folder

# On a busy machine these would judge the machine.
settings.register_profile("codexd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("codexd")
