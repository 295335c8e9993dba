"""Data sets from the network, into the folder that DDPM_DATA names or else the user's cache.

Each file is fetched once, and one whose SHA-256 differs is never used.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """Where the files of a data set are found, and what they must be."""

    folder: str  # in data_folder()
    mirrors: tuple[str, ...]  # tried in turn
    registry: Mapping[str, str]  # the SHA-256 of each file, by its name


def registry(sums: str) -> dict[str, str]:
    """Of what sha256sum prints: a sum and a name on each line."""
    return {name: sha256 for sha256, name in map(str.split, sums.strip().splitlines())}


MNIST = Source(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    registry("""
    440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609  train-images-idx3-ubyte.gz
    3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c  train-labels-idx1-ubyte.gz
    8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6  t10k-images-idx3-ubyte.gz
    f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6  t10k-labels-idx1-ubyte.gz
    """),
)
# These and CIFAR-10's are sums that several public projects, independent of each other, publish
# beside the MD5 of the data sets' own pages (8d4fb7e6..., 25c81989..., bef4ecab..., bb300cfd...).
FASHION_MNIST = Source(
    "fashion_mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    registry("""
    3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84  train-images-idx3-ubyte.gz
    a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845  train-labels-idx1-ubyte.gz
    346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073  t10k-images-idx3-ubyte.gz
    67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5  t10k-labels-idx1-ubyte.gz
    """),
)
CIFAR10 = Source(  # the binary version (MD5 c32a1d4a...): the other is a pickle, which runs code
    "cifar10",
    (
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
    registry(
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd  cifar-10-binary.tar.gz"
    ),
)
SOURCES = (MNIST, FASHION_MNIST, CIFAR10)


def data_folder() -> Path:
    """DDPM_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("DDPM_DATA") or cache_folder()).expanduser()


def cache_folder() -> Path:
    """Where this user's system keeps what a program can make again."""
    import pooch

    return Path(pooch.os_cache("ddpm_lib"))


def fetch(source: Source, file: str) -> Path:
    """The file in the data folder, downloaded if it is not there; whole and unaltered, or an error.

    A download gets its name only after its SHA-256 was compared, so that a broken one is never
    taken for good, and two processes that fetch the same file do not disturb each other.
    """
    import pooch

    folder = data_folder() / source.folder
    path, expected, failures = folder / file, source.registry[file], []
    if path.exists() and pooch.file_hash(path) == expected:
        return path
    for mirror in source.mirrors:
        try:
            folder.mkdir(parents=True, exist_ok=True)  # pooch fails if another process does
            pooch.create(folder, mirror, registry=dict(source.registry)).fetch(
                file, progressbar=True
            )
            with suppress(PermissionError):  # another user was faster, and opens the file to all
                path.chmod(0o644)  # pooch leaves it to its owner alone
        except (OSError, ValueError) as error:  # no answer, or one with another SHA-256
            failures.append(f"{mirror}: {error}")
        else:
            return path
    there = f"has {pooch.file_hash(path)}" if path.exists() else "is missing"
    raise OSError(
        f"{file} {there} where SHA-256 {expected} is expected, and cannot be fetched. Get it by "
        f"other means and put it at {path}, or set DDPM_DATA to a folder that holds "
        f"{source.folder}/{file}. What went wrong: {'; '.join(failures)}"
    )
