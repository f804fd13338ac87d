"""TLS as a client speaks it, and in words what can be wrong with it."""

from __future__ import annotations

import ssl

from roomcast.errors import ConfigurationError

_CERTIFICATE = {
    10: "it has expired",
    9: "it is not valid yet: is this machine's clock right?",
    18: "it is signed by itself",
    19: "it is signed by an authority that this machine does not know",
    20: "it is signed by an authority that this machine does not know",
    21: "its chain is incomplete: the server has to send the certificates in between, too",
    23: "it was revoked",
}
"""What X509_verify_cert says by number (OpenSSL's x509_vfy.h)."""


def tls_context(*, cafile: str | None = None, insecure: bool = False) -> ssl.SSLContext:
    """Make a context that trusts what this machine trusts.

    Args:
        cafile: a file of certificates (PEM) to trust, and no others.
        insecure: whether to trust any certificate, which is to trust nobody: for tests on one's own machine.

    Raises:
        ConfigurationError: there are no certificates in the file.
    """
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:
        said = "it has no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"the certificates in {cafile} cannot be read: {said}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def explained(error: ssl.SSLError, host: str) -> str:
    """Say why no TLS came about with a host."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _CERTIFICATE.get(error.verify_code, error.verify_message.rstrip("."))
        if why.startswith(("Hostname mismatch", "IP address mismatch")):
            why = f"it is not for {host}"
        return f"the certificate of {host} cannot be trusted: {why}"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return f"{host} does not speak TLS there: is it ws:// and not wss://?"
    return f"no TLS with {host}: {(error.reason or str(error)).replace('_', ' ').lower()}"
