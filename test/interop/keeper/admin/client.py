"""A client that leaves the same traces on any keeper: `ready`, then 300 writes for each line it is sent, until the end of input."""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException


def make_quota(path, limits, usage="count=0,bytes=00"):
    """Over a path that exists. usage None: nobody counts. It is as long as what the server writes there in the end: Apache's
    approximate_data_size goes on with the length that the client's had."""
    client.ensure_path("/zookeeper/quota" + path)
    client.create(f"/zookeeper/quota{path}/zookeeper_limits", limits.encode())
    if usage is not None:
        client.create(f"/zookeeper/quota{path}/zookeeper_stats", usage.encode())


def refused(call, *arguments):
    try:
        call(*arguments)
    except KazooException as error:
        return error.code == -125
    return False


client = KazooClient(hosts=sys.argv[1], timeout=300)
client.start()
client.create("/a", b"x")
client.create("/a/eph", b"", ephemeral=True)
client.set("/a", b"yy")
client.get("/a", watch=lambda event: None)
client.get_children("/a", watch=lambda event: None)
client.exists("/none \"quoted\"", watch=lambda event: None)
client.set("/a", b"z")
client.get("/a", watch=lambda event: None)
for path in ("/q", "/q/in", "/q/in/deep", "/n\"s\\x", "/r"):
    client.create(path, b"1234")
make_quota("/q/in", "count=7,bytes=-1=;byteHardLimit=30;countHardLimit=3")
make_quota("/n\"s\\x", "count=1,bytes=5=;countHardLimit=2", "count=0,bytes=0")
make_quota("/r", "bytes=5", None)
client.create("/q/in/more", b"12345")
client.create("/n\"s\\x/a", b"")
assert refused(client.create, "/q/in/yet more", b"1")
assert refused(client.set, "/q/in/more", b"x" * 50)
assert refused(client.create, "/n\"s\\x/b", b"1")
client.set("/q/in/deep", b"x" * 7)
make_quota("/q", "count=100,bytes=200")  # The last one: after a restore the outer one counts what is in the inner one, too.
print("ready", flush=True)
for _ in sys.stdin:
    for number in range(300):
        client.set("/a/eph", b"%d" % number)
    print("written", flush=True)
client.stop()
