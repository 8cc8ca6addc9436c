"""NetworkManager's own code, without its daemon: imports a profile, reads a keyfile, and says whether both are the same
connection.

Usage: networkmanager.py PROFILE [ROOT NAME], where ROOT holds the host's files of a `nm` bundle.
"""

import glob
import sys

import gi

gi.require_version("NM", "1.0")
from gi.repository import GLib, NM

SERVICE = "org.freedesktop.NetworkManager.openvpn"
FILES = ["ca", "cert", "key", "tls-crypt", "ta"]


def imported(profile):
    (plugin,) = glob.glob("/usr/lib/*/NetworkManager/libnm-vpn-plugin-openvpn.so")
    return NM.VpnEditorPlugin.load(plugin, SERVICE).import_(profile)


def read(path):
    keyfile = GLib.KeyFile.new()
    keyfile.load_from_file(path, GLib.KeyFileFlags.NONE)
    known = []

    def warned(keyfile, connection, kind, data, user):
        known.append(data)
        return False

    connection = NM.keyfile_read(keyfile, "/etc", NM.KeyfileHandlerFlags.NONE, warned, None)
    assert not known, "NetworkManager warned of %s" % path
    return connection


def items(connection):
    connection.normalize()
    assert connection.verify(), connection
    vpn = connection.get_setting_vpn()
    assert vpn.get_service_type() == SERVICE, vpn.get_service_type()
    return {name: vpn.get_data_item(name) for name in vpn.get_data_keys()}


def routes(connection):
    ip4 = connection.get_setting_ip4_config()
    routes = [ip4.get_route(index) for index in range(ip4.get_num_routes())]
    return ip4.get_method(), [(route.get_dest(), route.get_prefix()) for route in routes]


def content(path):
    with open(path, "rb") as file:
        return file.read()


def show(items):
    for item, value in sorted(items.items()):
        print(item, "=", value)


theirs = imported(sys.argv[1])
if len(sys.argv) == 2:
    show(items(theirs))
    sys.exit()
root, name = sys.argv[2:]
ours = read("%s/etc/NetworkManager/system-connections/%s.nmconnection" % (root, name))
first, second = items(theirs), items(ours)
for item in FILES:
    assert (item in first) == (item in second), item
    if item in first:
        assert content(first.pop(item)) == content(root + second.pop(item)), item
assert first == second, "%s\n%s" % (first, second)
assert routes(theirs) == routes(ours), "%s\n%s" % (routes(theirs), routes(ours))
print("the same connection:", ours.get_id(), ours.get_uuid())
show(second)
