"""Reads everything an authority issued with pyca/cryptography, and verifies signatures, purposes and revocations.

Usage: read.py CA SERVER CLIENT REVOKED EMPTY-CRL CRL
"""

import datetime
import sys

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID


def certificate(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def revocation_list(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_crl(file.read())


def value(thing, oid):
    return thing.extensions.get_extension_for_oid(oid).value


def is_leaf_of(leaf, ca, usage):
    leaf.verify_directly_issued_by(ca)
    assert list(value(leaf, ExtensionOID.EXTENDED_KEY_USAGE)) == [usage], leaf
    identifier = value(leaf, ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    assert identifier.key_identifier == value(ca, ExtensionOID.SUBJECT_KEY_IDENTIFIER).digest, leaf
    assert identifier.authority_cert_issuer is None, "the issuer's key only"
    assert ca.not_valid_before_utc <= leaf.not_valid_before_utc, leaf
    assert leaf.not_valid_after_utc <= ca.not_valid_after_utc, leaf
    assert b"\0" not in leaf.subject.public_bytes(), leaf


def is_list_of(crl, ca):
    assert crl.is_signature_valid(ca.public_key()), crl
    assert crl.issuer.public_bytes() == ca.subject.public_bytes(), crl
    now = datetime.datetime.now(datetime.timezone.utc)
    assert crl.last_update_utc <= now < crl.next_update_utc, crl
    serials = [entry.serial_number for entry in crl]
    assert len(serials) == len(set(serials)), "a serial twice"
    assert all(entry.revocation_date_utc <= now for entry in crl), "revoked in the future"


def main():
    ca, server, client, revoked = map(certificate, sys.argv[1:5])
    empty, one = map(revocation_list, sys.argv[5:7])
    ca.verify_directly_issued_by(ca)
    basic = value(ca, ExtensionOID.BASIC_CONSTRAINTS)
    assert basic.ca and basic.path_length == 0, basic
    is_leaf_of(server, ca, ExtendedKeyUsageOID.SERVER_AUTH)
    is_leaf_of(client, ca, ExtendedKeyUsageOID.CLIENT_AUTH)
    is_leaf_of(revoked, ca, ExtendedKeyUsageOID.CLIENT_AUTH)
    is_list_of(empty, ca)
    is_list_of(one, ca)
    assert len(empty) == 0
    assert one.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert one.get_revoked_certificate_by_serial_number(client.serial_number) is None
    number = ExtensionOID.CRL_NUMBER
    assert value(one, number).crl_number > value(empty, number).crl_number
    print("all verified")


main()
