"""Denoising diffusion, small enough to read: the library that the chapters build.

Import from the modules (`from ddpm_lib.schedules import linear`). Nothing is re-exported here, so
that importing one module costs one module, and the book re-runs a chapter only when a module that
it uses has changed.
"""

__version__ = "0.1.0"
