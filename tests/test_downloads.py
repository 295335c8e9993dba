"""Downloads: from a server on this machine only; and the data sets that are read from them."""

import gzip
import hashlib
import io
import os
import socket
import struct
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_lib import data, downloads


class Answers(dict):
    """What the server answers to each path: a status, a body, and the length that it claims."""

    url: str
    asked: list[str]
    together = threading.Barrier(1)
    begun = threading.Event()


@pytest.fixture
def answers(monkeypatch, tmp_path) -> Iterator[Answers]:
    answers = Answers()
    answers.asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answers.asked.append(self.path)
            answers.begun.set()
            status, body, length = answers.get(self.path, (404, b"not here", None))
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(body)))
            self.end_headers()
            self.wfile.write(body[:1000])
            answers.together.wait()
            self.wfile.write(body[1000:])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DDPM_DATA", str(tmp_path / "new" / "data"))
    yield answers
    server.shutdown()
    server.server_close()
    thread.join()


BODY = bytes(range(256)) * 400
SHA = hashlib.sha256(BODY).hexdigest()


def source(*mirrors: str) -> downloads.Source:
    return downloads.Source("toy", mirrors, {"file.bin": SHA, "other.bin": "0" * 64})


def nothing_left(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


def test_a_bar_shows_how_far_a_download_is(answers, capfd):
    answers["/file.bin"] = (200, BODY, None)
    downloads.fetch(source(answers.url), "file.bin")
    assert "100%" in capfd.readouterr().err


def test_a_file_is_fetched_once(answers):
    answers["/a/file.bin"] = (200, BODY, None)
    path = downloads.fetch(source(answers.url + "a/"), "file.bin")
    assert path == downloads.data_folder() / "toy" / "file.bin" and path.read_bytes() == BODY
    assert downloads.fetch(source(answers.url + "a/"), "file.bin") == path
    assert answers.asked == ["/a/file.bin"]
    assert list(path.parent.iterdir()) == [path]


def test_a_shared_folder_serves_all(answers):
    answers["/file.bin"] = (200, BODY, None)
    path = downloads.fetch(source(answers.url), "file.bin")
    assert path.stat().st_mode & 0o777 == 0o644


HTML = b"<!doctype html><title>Please log in</title>"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param((200, BODY[:-1000], None), id="truncated"),
        pytest.param((200, BODY[:-1000], len(BODY)), id="connection lost"),
        pytest.param((200, BODY[:50] + b"!" + BODY[51:], None), id="altered"),
        pytest.param((200, HTML, None), id="HTML"),
        pytest.param((404, HTML, None), id="missing"),
        pytest.param((503, HTML, None), id="busy"),
    ],
)
def test_a_bad_answer_sends_us_to_the_next_mirror_and_is_never_kept(answers, bad):
    answers["/bad/file.bin"] = bad
    with pytest.raises(OSError, match="cannot be fetched") as refused:
        downloads.fetch(source(answers.url + "bad/"), "file.bin")
    assert nothing_left(downloads.data_folder() / "toy")
    message = str(refused.value)
    assert SHA in message and str(downloads.data_folder() / "toy" / "file.bin") in message
    assert "DDPM_DATA" in message and answers.url in message
    if bad[0] == 200 and bad[2] is None:
        assert hashlib.sha256(bad[1]).hexdigest() in message
    answers["/good/file.bin"] = (200, BODY, None)
    mirrors = source(answers.url + "bad/", answers.url + "good/")
    assert downloads.fetch(mirrors, "file.bin").read_bytes() == BODY
    assert answers.asked == ["/bad/file.bin", "/bad/file.bin", "/good/file.bin"]


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_without_network_the_message_says_which_file_to_put_where(answers):
    with pytest.raises(OSError, match="cannot be fetched") as refused:
        downloads.fetch(source(closed_port(), closed_port()), "file.bin")
    message = str(refused.value)
    path = downloads.data_folder() / "toy" / "file.bin"
    assert f"file.bin is missing where SHA-256 {SHA} is expected" in message
    assert f"put it at {path}" in message and "toy/file.bin" in message
    path.write_bytes(BODY)
    assert downloads.fetch(source(closed_port()), "file.bin") == path


def test_a_damaged_file_in_place_is_replaced_or_reported(answers):
    path = downloads.data_folder() / "toy" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(HTML)
    with pytest.raises(OSError, match=f"file.bin has {hashlib.sha256(HTML).hexdigest()} where"):
        downloads.fetch(source(closed_port()), "file.bin")
    answers["/file.bin"] = (200, BODY, None)
    assert downloads.fetch(source(answers.url), "file.bin").read_bytes() == BODY


def test_the_folder_is_the_one_in_the_environment_or_the_cache(monkeypatch):
    monkeypatch.setenv("DDPM_DATA", "~/pictures")
    assert downloads.data_folder() == Path.home() / "pictures"
    monkeypatch.delenv("DDPM_DATA")
    assert "ddpm_lib" in str(downloads.data_folder())


def test_two_processes_may_fetch_at_once(answers):
    answers["/file.bin"] = (200, BODY, None)
    answers.together = threading.Barrier(2)  # neither has its answer before both have asked
    answers.begun = threading.Event()
    code = f"""
from ddpm_lib.downloads import Source, fetch
source = Source("toy", ("{answers.url}",), {{"file.bin": "{SHA}"}})
print(len(fetch(source, "file.bin").read_bytes()))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1) as other:
        while not answers.begun.wait(1):
            assert other.poll() is None, other.communicate()[1].decode()
        path = downloads.fetch(source(answers.url), "file.bin")
        out, error = other.communicate()
    assert out.split() == [b"%d" % len(BODY)], error.decode()
    assert path.read_bytes() == BODY
    assert answers.asked == ["/file.bin"] * 2 and list(path.parent.iterdir()) == [path]


def test_two_processes_may_make_the_folder_at_once(answers, monkeypatch):
    def too_late(*args, **kwargs):
        raise FileExistsError("the other process was faster")

    monkeypatch.setattr(os, "makedirs", too_late)  # which pooch calls if there is no folder
    answers["/file.bin"] = (200, BODY, None)
    assert downloads.fetch(source(answers.url), "file.bin").read_bytes() == BODY


def idx(values: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes())


@pytest.mark.parametrize("load", [data.mnist, data.fashion_mnist])
def test_the_files_of_mnist_are_read(answers, monkeypatch, load):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (5, 4, 3)), np.arange(5)
    files = {
        "train-images-idx3-ubyte.gz": idx(images),
        "train-labels-idx1-ubyte.gz": idx(labels),
        "t10k-images-idx3-ubyte.gz": idx(255 - images),
        "t10k-labels-idx1-ubyte.gz": idx(9 - labels),
    }
    answers.update({f"/{name}": (200, body, None) for name, body in files.items()})
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    monkeypatch.setattr(data, load.__name__.upper(), downloads.Source("toy", (answers.url,), sums))
    train, test = load(), load(test=True)
    assert (train.pixels.numpy() == images[:, None]).all() and train.pixels.dtype == torch.uint8
    assert (test.pixels.numpy() == 255 - images[:, None]).all()
    assert train.labels.tolist() == labels.tolist() and test.labels.tolist() == [9, 8, 7, 6, 5]
    assert len(train.names) == 10


def test_the_records_of_cifar10_are_read_without_unpickling(answers, monkeypatch):
    rng = np.random.default_rng(0)
    parts = {f"data_batch_{k}": rng.integers(0, 10, (2, 3073)) for k in range(1, 6)}
    parts["test_batch"] = rng.integers(0, 10, (2, 3073))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, part in parts.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = part.size
            archive.addfile(info, io.BytesIO(part.astype(np.uint8).tobytes()))
    body = buffer.getvalue()
    answers["/cifar-10-binary.tar.gz"] = (200, body, None)
    sums = {"cifar-10-binary.tar.gz": hashlib.sha256(body).hexdigest()}
    monkeypatch.setattr(data, "CIFAR10", downloads.Source("toy", (answers.url,), sums))
    train, test = data.cifar10(), data.cifar10(test=True)
    assert train.pixels.shape == (10, 3, 32, 32) and test.pixels.shape == (2, 3, 32, 32)
    record = parts["data_batch_3"][1]
    assert train.labels[5] == record[0] and train.names[0] == "airplane"
    assert (train.pixels[5, 1, 2].numpy() == record[1 + 1024 + 64 : 1 + 1024 + 96]).all()
    assert (test.pixels[0].flatten().numpy() == parts["test_batch"][0, 1:]).all()


def test_every_source_has_sums_and_several_mirrors():
    for known in downloads.SOURCES:
        assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in known.registry.values())
        assert len(known.mirrors) >= 2 and all(mirror.endswith("/") for mirror in known.mirrors)


@pytest.mark.skipif(
    not (Path(os.environ.get("DDPM_DATA", "")) / "mnist" / "t10k-images-idx3-ubyte.gz").is_file(),
    reason="DDPM_DATA names no folder with the original MNIST",
)
def test_the_original_mnist():
    test = data.mnist(test=True)
    assert test.pixels.shape == (10_000, 1, 28, 28)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert test.labels.bincount().tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert float(test.pixels.double().mean() / 255) == pytest.approx(0.1325, abs=1e-4)
