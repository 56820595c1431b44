"""A tree of znodes, written by a seeded workload and dumped with everything that a client can see of it.

Run by the Python that has kazoo:

    tree.py write ADDRESS SEED COUNT     makes COUNT changes below /tree, of every kind
    tree.py hold ADDRESS PATH SECONDS    holds ephemeral nodes below PATH until its input ends; then just dies: its
                                         session ends SECONDS later
    tree.py dump ADDRESS                 a line for each znode: path, data, every field of its stat, its access list
"""

import os
import random
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.security import make_acl, make_digest_acl

SESSION_S = 300.0  # Longer than a machine stands still.
ACLS = (
    None,
    [make_acl("world", "anyone", all=True)],
    [make_digest_acl("ada", "lovelace", all=True), make_acl("world", "anyone", read=True, admin=True)],
    [make_acl("ip", "127.0.0.1", all=True)],
)


def connect(address, timeout=SESSION_S):
    client = KazooClient(hosts=address, timeout=timeout)
    client.start(timeout=120)
    client.add_auth("digest", "ada:lovelace")
    return client


def data_of(dice):
    kind = dice.randrange(10)
    if kind == 0:
        return b""
    if kind == 1:
        return dice.randbytes(dice.randrange(5000))
    return b"data-%d" % dice.randrange(1 << 30)


def change(client, dice, nodes):
    """One change; `nodes` is what is there, by the results."""
    kind = dice.randrange(100)
    parent = dice.choice(nodes)
    if kind < 45 or len(nodes) < 10:
        sequence = dice.random() < 0.3
        path = f"{parent}/n{dice.randrange(1000)}" if parent.count("/") < 6 else f"/tree/t{dice.randrange(100000)}"
        acl = dice.choice(ACLS)
        nodes.append(client.create(path, data_of(dice), acl=acl, sequence=sequence, include_data=dice.random() < 0.2)
                     if not sequence else client.create(path, data_of(dice), acl=acl, sequence=True))
        if isinstance(nodes[-1], tuple):
            nodes[-1] = nodes[-1][0]
    elif kind < 65:
        client.set(parent, data_of(dice))
    elif kind < 80 and parent != "/tree":
        client.delete(parent)
        nodes.remove(parent)
    elif kind < 85:
        client.set_acls(parent, dice.choice(ACLS[1:]))
    else:
        steps = client.transaction()
        name = f"/tree/m{dice.randrange(1 << 40)}"
        steps.create(name, data_of(dice))
        steps.create(name + "/s", b"", sequence=True)
        steps.set_data(name, b"multi")
        steps.check(name, 1 if dice.random() < 0.8 else 5)
        steps.create(name + "/gone")
        steps.delete(name + "/gone")
        if not any(isinstance(result, Exception) for result in steps.commit()):
            nodes.append(name)


def write(address, seed, count):
    dice = random.Random(int(seed))
    client = connect(address)
    client.ensure_path("/tree")
    nodes = ["/tree"]
    for _ in range(int(count)):
        try:
            change(client, dice, nodes)
        except KazooException:
            pass  # A change may be refused; the refusals are part of the workload.
    client.create(f"/tree/brief-{seed}", ephemeral=True)
    client.stop()
    client.close()


def hold(address, path, seconds):
    client = connect(address, timeout=float(seconds))
    client.ensure_path(path)
    for number in range(5):
        client.create(f"{path}/e{number}", b"held", ephemeral=True)
    print("holding", flush=True)
    sys.stdin.readline()
    os._exit(0)


def dump(address):
    """What has had no answer, as its server has lost its leader, is asked once more."""
    client = connect(address)
    retry = client.retry
    paths = ["/"]
    for path in paths:
        try:
            paths += sorted(f"{path.rstrip('/')}/{name}" for name in retry(client.get_children, path))
            data, stat = retry(client.get, path)
            acls, _ = retry(client.get_acls, path)
        except NoNodeError:
            continue
        access = " ".join(f"{a.perms}:{a.id.scheme}:{a.id.id}" for a in acls)
        print(path, "null" if data is None else "x" + data.hex(), *stat, access, sep="\t")
    client.stop()


if __name__ == "__main__":
    {"write": write, "hold": hold, "dump": dump}[sys.argv[1]](*sys.argv[2:])
