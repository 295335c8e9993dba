"""The debugging clinic of chapter 15: a small program in parts, its broken relatives, its checks.

`program` is the healthy one and the world it lives in, where the best answer is known. `examine`
holds the checks, each a number that a healthy program has in a known range. `patients` holds the
broken parts: do not read it before you have made your diagnoses.
"""
