"""The certificate and its key, tried before anything starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from roomcast.errors import ConfigurationError


def check_certificate(certfile: str, keyfile: str) -> None:
    """Find out whether a TLS server can use the two files.

    Raises:
        ConfigurationError: a file is missing, unreadable or no PEM file, the key has a password, or it is
            not the certificate's.
    """
    for what, path in (("certificate", certfile), ("key", keyfile)):
        try:
            with Path(path).open("rb") as file:
                file.read(1)
        except OSError as error:
            raise ConfigurationError(f"the {what} {path} cannot be read: {error.strerror}") from None

    def refuse() -> str:
        raise ConfigurationError(
            f"the key {keyfile} has a password, which a server that starts by itself cannot ask for: "
            "give one without, as openssl pkey writes it"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certfile, keyfile, refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"the key {keyfile} does not belong to the certificate {certfile}"
        else:
            problem = (
                f"{certfile} and {keyfile} are no certificate and key that a TLS server can use: "
                f"both have to be PEM files ({error.reason or 'PEM lib'})"
            )
        raise ConfigurationError(problem) from None
