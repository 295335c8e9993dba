"""The debugging clinic of chapter 15: a small program in parts, its broken relatives, its checks.

`program` is the healthy one and the world it lives in, where the best answer is known. `examine`
holds the checks, each a number of a program, and `ward` their healthy ranges and what they say of a
diagnosis. `patients` holds the broken parts: do not read it before you have made your own.
"""
