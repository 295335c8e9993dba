"""`python -m ddpm_lib` is `ddpm`."""

import sys

from ddpm_lib.cli import main

sys.exit(main())
