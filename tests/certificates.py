"""Authorities and certificates for tests, as the grid has them: also proxies (RFC 3820)."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ATTRIBUTES = {
    "DC": NameOID.DOMAIN_COMPONENT,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}

#: proxyCertInfo without a limit of proxies on it, of a proxy that may do what its signer may:
#: SEQUENCE { SEQUENCE { OBJECT IDENTIFIER id-ppl-inheritAll } }.
PROXY_INFO = bytes.fromhex("300c300a06082b06010505071501")
PROXY_OID = ObjectIdentifier("1.3.6.1.5.5.7.1.14")

Name = Sequence[tuple[str, str]]

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and those above it but for the authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def write(self, path: Path) -> Path:
        """All in one file, in the order of a grid proxy's."""
        above = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.above)
        path.write_bytes(self.certificate_pem + self.key_pem + above)
        path.chmod(0o600)
        return path

    def write_apart(self, certfile: Path, keyfile: Path) -> tuple[Path, Path]:
        certfile.write_bytes(self.certificate_pem)
        keyfile.write_bytes(self.key_pem)
        return certfile, keyfile

    def proxy(self, name: str = "123456", of: Issued | None = None) -> Issued:
        """A proxy certificate that this one has signed, or forged for somebody else."""
        whose = (of or self).certificate.subject
        subject = x509.Name([*whose, _attribute("CN", name)])
        key, builder = _begun(subject, self.certificate.subject)
        usage = _usage(digital_signature=True)
        info = x509.UnrecognizedExtension(PROXY_OID, PROXY_INFO)
        builder = builder.add_extension(info, critical=True).add_extension(usage, critical=True)
        above = (self.certificate, *self.above)
        return Issued(builder.sign(self.key, hashes.SHA256()), key, above)


class Authority:
    """Signs certificates."""

    def __init__(self, name: Name = (("DC", "test"), ("CN", "Authority"))) -> None:
        self.name = _name(name)
        key, builder = _begun(self.name, self.name)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = builder.add_extension(usage, critical=True)
        self._own = Issued(builder.sign(key, hashes.SHA256()), key)

    def write(self, path: Path) -> Path:
        path.write_bytes(self._own.certificate_pem)
        return path

    def server(self, *hosts: str, days: tuple[float, float] = (-1, 30)) -> Issued:
        """For a server with names or addresses, valid between two days from now."""
        names: list[x509.GeneralName] = [_host(host) for host in hosts]
        builder_key, builder = _begun(_name([("CN", hosts[0])]), self.name, days)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._signed(builder_key, builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: Name, days: tuple[float, float] = (-1, 30)) -> Issued:
        """For a person."""
        key, builder = _begun(_name(name), self.name, days)
        return self._signed(key, builder, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _signed(
        self,
        key: ec.EllipticCurvePrivateKey,
        builder: x509.CertificateBuilder,
        purpose: ObjectIdentifier,
    ) -> Issued:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        return Issued(builder.sign(self._own.key, hashes.SHA256()), key)


def _begun(
    subject: x509.Name, issuer: x509.Name, days: tuple[float, float] = (-1, 30)
) -> tuple[ec.EllipticCurvePrivateKey, x509.CertificateBuilder]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = (now + day * DAY for day in days)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), begin, end
    )
    return key, builder


def _name(parts: Name) -> x509.Name:
    return x509.Name([_attribute(kind, value) for kind, value in parts])


def _attribute(kind: str, value: str) -> x509.NameAttribute:
    return x509.NameAttribute(ATTRIBUTES[kind], value)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(**wanted: bool) -> x509.KeyUsage:
    kinds = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    more = ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{kind: wanted.get(kind, False) for kind in (*kinds, *more)})
