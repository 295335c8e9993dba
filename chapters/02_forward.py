# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The forward process
#
# Text {cite:t}`ho2020`. See {eq}`eq:jump`.
#
# $$
# x_t = a x_0
# $$ (eq:jump)

# %%
import torch

from ddpm_lib.claims import claim
from ddpm_lib.schedules import linear

claim("eq:jump", got=linear().alpha_bar[1], want=1 - 1e-4, rejects={"a root too many": (1 - 1e-4) ** 0.5})

# %% [markdown]
# :::{exercise} Two steps
# :label: ex-two
#
# Do it.
# :::
#
# :::{solution} ex-two
# :class: dropdown
#
# Done.
# :::
