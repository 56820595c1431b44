"""A client that leaves the same traces on any keeper: `ready`, then 300 writes for each line it is sent, until the end of input."""

import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1], timeout=20)
client.start()
client.create("/a", b"x")
client.create("/a/eph", b"", ephemeral=True)
client.set("/a", b"yy")
client.get("/a", watch=lambda event: None)
client.get_children("/a", watch=lambda event: None)
client.exists("/none \"quoted\"", watch=lambda event: None)
client.set("/a", b"z")
client.get("/a", watch=lambda event: None)
print("ready", flush=True)
for _ in sys.stdin:
    for number in range(300):
        client.set("/a/eph", b"%d" % number)
    print("written", flush=True)
client.stop()
