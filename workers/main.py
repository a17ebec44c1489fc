"""`celery -A workers.main`: the one module that acts at import."""

import os
import sys

from config.settings import SettingsError, read_settings
from workers.app import make_app

try:
    app = make_app(read_settings(os.environ))
except SettingsError as error:
    # Not a traceback: the operator can mend it.
    sys.exit(str(error))
