"""A certificate authority of one's own, and the certificate that it signs for a server on loopback."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certified(folder: Path, address: str) -> tuple[Path, Path, Path]:
    """Return the files of the authority's certificate and of the server's key and certificate; make them once."""
    folder.mkdir(exist_ok=True)
    authority, key, certificate = (folder / name for name in ("authority.pem", "key.pem", "certificate.pem"))
    if not certificate.exists():
        ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = _name("mlops_assets on loopback")
        signing = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        signed = _builder(name, name, ours).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = signed.add_extension(signing, critical=True).sign(ours, hashes.SHA256())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ours.public_key())
        server = _builder(_name(address), name, theirs).add_extension(names, critical=False)
        server = server.add_extension(issuer, critical=False)
        authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            theirs.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        certificate.write_bytes(server.sign(ours, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return authority, key, certificate


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
