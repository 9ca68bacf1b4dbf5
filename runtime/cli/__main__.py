"""``python -m facewire.runtime.cli``, for where the ``facewire`` script is not on the path."""

import sys

from facewire.runtime.cli import main

sys.exit(main())
