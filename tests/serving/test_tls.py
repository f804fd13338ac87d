"""Serving over TLS, and certificates that cannot be used."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from websockets.sync.client import connect

from tests.programs import ROOMCAST, Program, run

APPS = Path(__file__).parents[1] / "apps"


@dataclass(frozen=True)
class Files:
    """A certificate of an authority for 127.0.0.1, its key, and a key of another one."""

    certificate: Path
    key: Path
    other_key: Path
    locked_key: Path
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "certificate.pem", append=True)
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(folder / "other.pem")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (folder / "locked.pem").write_bytes(locked)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return Files(
        folder / "certificate.pem", folder / "key.pem", folder / "other.pem", folder / "locked.pem", trust
    )


def refused(certificate: Path, key: Path) -> str:
    program = run(ROOMCAST, "serve", "main:app", *options(certificate, key), cwd=APPS)
    assert program.returncode == 2
    assert program.output.count("\n") == 1
    assert program.stderr.startswith("Error: ")
    return program.stderr.removeprefix("Error: ").rstrip("\n")


def options(certificate: Path, key: Path) -> list[str]:
    return ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)]


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "many"])
def test_it_serves_https_and_wss(files: Files, more: list[str]) -> None:
    arguments = ["main:app", "--port", "0", *options(files.certificate, files.key), *more]
    with Program.roomcast("serve", *arguments, cwd=APPS) as program:
        url = program.wait_for_line(r"^Serving main:app on (https://127\.0\.0\.1:\d+) ")[1]
        assert httpx.get(url, verify=files.trust).json()["scheme"] == "https"
        with connect(url.replace("https", "wss"), ssl=files.trust) as websocket:
            websocket.send("hello")
            assert websocket.recv(timeout=5) == "hello"
        assert program.terminate() == 0


def test_a_missing_file_is_told(files: Files, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    problem = "cannot be read: No such file or directory"
    assert refused(missing, files.key) == f"the certificate {missing} {problem}"
    assert refused(files.certificate, missing) == f"the key {missing} {problem}"


def test_a_file_that_cannot_be_read_is_told(files: Files, tmp_path: Path) -> None:
    assert refused(tmp_path, files.key) == f"the certificate {tmp_path} cannot be read: Is a directory"


def test_a_file_that_is_no_pem_file_is_told(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("hello")
    expected = f"{other} and {files.key} are no certificate and key that a TLS server can use: "
    assert refused(other, files.key).startswith(expected)


def test_a_key_of_another_certificate_is_told(files: Files) -> None:
    assert refused(files.certificate, files.other_key) == (
        f"the key {files.other_key} does not belong to the certificate {files.certificate}"
    )


def test_a_key_with_a_password_is_told(files: Files) -> None:
    assert refused(files.certificate, files.locked_key).startswith(f"the key {files.locked_key} has a password")
