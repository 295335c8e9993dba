"""One torch thread a test process: the workers of pytest-xdist share the cores, and numbers repeat."""

import torch

torch.set_num_threads(1)
