"""zkCli of Apache ZooKeeper 3.9, scripted: what an operator types, and what comes back."""

from harness.zk import SESSION_MS

SCRIPT = """\
create /app "hello world"
get /app
get -s /app
set -s /app second
set -v 0 /app third
stat /app
create -e /app/eph gone
create -s /app/seq- one
create -s -e /app/both- two
create /app/seq-0000000001 again
ls /app
ls -s /app
ls -R /app
create /none/x y
get /none
delete /app
addauth digest ada:lovelace
create /app/secret hidden auth:ada:lovelace:crdwa
getAcl /app/secret
setAcl /app world:anyone:cdrwa
getAcl -s /app
sync /app
whoami
getEphemerals /app
getAllChildrenNumber /app
get -w /app
set /app watched
create -c /app/box
delete -v 7 /app/seq-0000000001
deleteall /app
ls /
version
quit
"""


def case(t):
    keeper = t.keeper()
    cli = t.java("zookeeper", "org.apache.zookeeper.ZooKeeperMain", "-timeout", SESSION_MS, "-server", keeper.address)
    lines = t.run(cli, "zkcli", feed=SCRIPT, status=None)
    text = "\n".join(lines) + (t.directory / "zkcli-1.err").read_text(errors="replace")

    def says(part, what):
        t.check(part in text, what, f"{part!r} is missing")

    says("Created /app", "create")
    says("hello world", "get")
    says("dataVersion = 1", "set -s shows the new version")
    says("version No is not valid : /app", "set -v with a wrong version")
    says("Created /app/eph", "create -e")
    says("Created /app/seq-0000000001", "create -s")
    says("Created /app/both-0000000002", "create -s -e")
    says("Node already exists: /app/seq-0000000001", "create of a node that is there")
    says("[both-0000000002, eph, seq-0000000001]", "ls")
    says("numChildren = 3", "ls -s")
    says("/app/both-0000000002", "ls -R")
    says("Node does not exist: /none/x", "create below nothing")
    says("Node does not exist: /none", "get of nothing")
    says("Node not empty: /app", "delete of a node with children")
    says("'digest,'ada:", "getAcl shows the digest")
    says("aclVersion = 1", "setAcl counts")
    says("Sync is OK", "sync")
    says("ip: 127.0.0.1", "whoami")
    says("/app/both-0000000002", "getEphemerals")
    says("WatchedEvent state:SyncConnected type:NodeDataChanged path:/app", "get -w is told of the change")
    says("version No is not valid : /app/seq-0000000001", "delete -v with a wrong version")
    says("[zookeeper]", "deleteall leaves the root as it was")

    # One command a call, as scripts do it.
    def once(*words, status=0):
        return t.run([*cli, *words], "zkcli-once", status=status, feed="")

    once("create", "/one", "1")
    keeper.restart()
    t.check("1" in once("get", "/one"), "get by another process after a restart")
    once("set", "/one", "2")
    t.check("2" in once("get", "/one"), "set by another process")
    once("get", "/two", status=1)
    keeper.check_alive()
    keeper.stop()
