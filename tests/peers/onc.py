"""Holds an Open Network Configuration against Chromium's specification (components/onc/docs/onc_spec.md), and opens what
is in it as ChromeOS does: a PKCS#12 without a passphrase (onc_certificate_importer_impl.cc).

Usage: onc.py FILE CA CERTIFICATE KEY TLS-AUTH
"""

import base64
import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

REQUIRED = object()


def one_of(*allowed):
    return lambda value: value in allowed


def strings(value):
    return isinstance(value, list) and value and all(isinstance(each, str) for each in value)


def text(value):
    return isinstance(value, str) and value != ""


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


# the fields that the specification knows, what their values may be, and which must be there
CERTIFICATE = {
    "GUID": (text, REQUIRED),
    "Type": (one_of("Client", "Server", "Authority"), REQUIRED),
    "X509": (text, None),
    "PKCS12": (text, None),
}
NETWORK = {"GUID": (text, REQUIRED), "Name": (text, REQUIRED), "Type": (one_of("VPN"), REQUIRED), "VPN": (dict, REQUIRED)}
VPN = {"Host": (text, REQUIRED), "Type": (one_of("OpenVPN"), REQUIRED), "OpenVPN": (dict, REQUIRED)}
OPENVPN = {
    "Auth": (text, None),
    "Cipher": (text, None),
    "ClientCertRef": (text, REQUIRED),
    "ClientCertType": (one_of("Ref"), REQUIRED),
    "ExtraHosts": (strings, None),
    "KeyDirection": (one_of("0", "1"), None),
    "Port": (whole, None),
    "Proto": (one_of("udp", "tcp"), None),
    "RemoteCertTLS": (one_of("none", "server"), None),
    "RenegSec": (whole, None),
    "ServerCARefs": (strings, REQUIRED),
    "ServerPollTimeout": (whole, None),
    "TLSAuthContents": (text, None),
    "TLSVersionMin": (text, None),
    "UserAuthenticationType": (one_of("None", "Password", "PasswordAndOTP", "OTP"), None),
    "VerifyX509": (dict, None),
}
VERIFY = {"Name": (text, REQUIRED), "Type": (one_of("name", "name-prefix", "subject"), None)}


def valid(thing, fields):
    for name, value in thing.items():
        assert name in fields, "no field `%s`" % name
        rule = fields[name][0]
        assert isinstance(value, dict) if rule is dict else rule(value), (name, value)
    missing = [name for name, (_, need) in fields.items() if need is REQUIRED and name not in thing]
    assert not missing, missing
    return thing


def content(path):
    with open(path, "rb") as file:
        return file.read()


def raw(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


path, ca, certificate, key, tls_auth = sys.argv[1:]
onc = json.loads(content(path))
assert sorted(onc) == ["Certificates", "NetworkConfigurations", "Type"], sorted(onc)
assert onc["Type"] == "UnencryptedConfiguration"
(network,) = onc["NetworkConfigurations"]
vpn = valid(valid(network, NETWORK)["VPN"], VPN)
openvpn = valid(vpn["OpenVPN"], OPENVPN)
valid(openvpn["VerifyX509"], VERIFY)

known = {each["GUID"]: valid(each, CERTIFICATE) for each in onc["Certificates"]}
assert len({network["GUID"], *known}) == 1 + len(onc["Certificates"]), "a GUID stands for one thing"
(authority,) = [known[guid] for guid in openvpn["ServerCARefs"]]
assert authority["Type"] == "Authority"
expected = x509.load_pem_x509_certificate(content(ca))
assert x509.load_der_x509_certificate(base64.b64decode(authority["X509"], validate=True)) == expected

client = known[openvpn["ClientCertRef"]]
assert client["Type"] == "Client"
opened = pkcs12.load_key_and_certificates(base64.b64decode(client["PKCS12"], validate=True), b"")
assert raw(opened[0]) == raw(load_pem_private_key(content(key), None))
assert opened[1] == x509.load_pem_x509_certificate(content(certificate))
assert openvpn["TLSAuthContents"].encode() == content(tls_auth)
with open("client.p12", "wb") as file:
    file.write(base64.b64decode(client["PKCS12"]))
print("valid:", network["Name"], vpn["Host"], openvpn["Port"], openvpn["Proto"], openvpn.get("ExtraHosts", []))
