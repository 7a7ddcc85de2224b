"""``python -m tfaas_nb.cli`` is ``tfaas-nb``."""

import sys

from tfaas_nb.cli import main

sys.exit(main())
