"""Settings of the tests: a home of their own for each test process, made before Django reads anything."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# pytest-django loads settings before any conftest: what the tests need from the environment is set here.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
HOME = Path(tempfile.mkdtemp(prefix=f"runboard-tests-{WORKER}-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ["RUNBOARD_HOME"] = str(HOME)
os.environ["SECRET_KEY"] = "only for tests, and the same in every process that they start"

from config.settings import *  # noqa: F403
from config.settings import DATABASES

DATABASES["default"]["OPTIONS"].pop("pool", None)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads and processes of one test share it.
    DATABASES["default"]["TEST"] = {"NAME": HOME / "test.sqlite3"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
