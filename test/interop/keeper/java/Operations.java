import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Transaction;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Apache's Java client against a keeper: one check a line, `ok WHAT` or `not ok WHAT: detail`. */
public final class Operations {
    private static final int SESSION_MS = 300_000; // Longer than a machine stands still.
    private static final int WAIT_MS = 120_000;
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    private static String address;
    private static String only = "";

    interface Body {
        void run() throws Exception;
    }

    /** Collects the events of one watcher. */
    private static final class Events implements Watcher {
        final LinkedBlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();
        final CountDownLatch connected = new CountDownLatch(1);

        @Override
        public void process(WatchedEvent event) {
            queue.add(event);
            if (event.getType() == EventType.None && event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        }

        /** The next event of a znode, skipping those of the session. */
        WatchedEvent next() throws InterruptedException {
            while (true) {
                WatchedEvent event = queue.poll(WAIT_MS, TimeUnit.MILLISECONDS);
                if (event == null || event.getType() != EventType.None) {
                    return event;
                }
            }
        }

        KeeperState nextState() throws InterruptedException {
            while (true) {
                WatchedEvent event = queue.poll(3 * WAIT_MS, TimeUnit.MILLISECONDS);
                if (event == null) {
                    return null;
                }
                if (event.getType() == EventType.None) {
                    return event.getState();
                }
            }
        }

        boolean isQuiet() throws InterruptedException {
            WatchedEvent event = queue.poll(150, TimeUnit.MILLISECONDS);
            return event == null;
        }
    }

    private static void test(String name, Body body) {
        if (!name.startsWith(only)) {
            return;
        }
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            StackTraceElement at = Arrays.stream(error.getStackTrace())
                .filter(e -> e.getClassName().startsWith("Operations")).findFirst().orElse(null);
            System.out.println("not ok " + name + ": " + error + " at line " + (at == null ? "?" : at.getLineNumber()));
        }
        System.out.flush();
    }

    private static void ask(String word) throws Exception {
        System.out.println("ask " + word);
        System.out.flush();
        if (IN.readLine() == null) {
            throw new IllegalStateException("nobody answers");
        }
    }

    private static void equal(Object expected, Object seen) {
        if (expected == null ? seen != null : !expected.equals(seen)) {
            throw new AssertionError("expected " + expected + ", saw " + seen);
        }
    }

    private static void isTrue(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void fails(Code code, Body body) throws Exception {
        try {
            body.run();
        } catch (KeeperException error) {
            equal(code, error.code());
            return;
        }
        throw new AssertionError("expected " + code + ", saw success");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static ZooKeeper connect(Events events, int sessionMs) throws Exception {
        ZooKeeper zk = new ZooKeeper(address, sessionMs, events);
        isTrue(events.connected.await(WAIT_MS, TimeUnit.MILLISECONDS), "no session");
        return zk;
    }

    private static ZooKeeper connect() throws Exception {
        return connect(new Events(), SESSION_MS);
    }

    /** Polls, because another client's session ends in its own time. */
    private static void eventually(String what, java.util.concurrent.Callable<Boolean> condition) throws Exception {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(3 * WAIT_MS);
        while (!condition.call()) {
            isTrue(System.nanoTime() < until, what);
            Thread.sleep(20);
        }
    }

    private static String make(ZooKeeper zk, String path, String data, CreateMode mode) throws Exception {
        return zk.create(path, data == null ? null : bytes(data), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static String make(ZooKeeper zk, String path) throws Exception {
        return make(zk, path, "", CreateMode.PERSISTENT);
    }

    // The tree.

    private static void creates() throws Exception {
        ZooKeeper zk = connect();
        test("create: persistent", () -> {
            equal("/a", make(zk, "/a", "one", CreateMode.PERSISTENT));
            Stat stat = new Stat();
            equal("one", new String(zk.getData("/a", false, stat)));
            equal(0, stat.getVersion());
            equal(0, stat.getCversion());
            equal(0, stat.getAversion());
            equal(3, stat.getDataLength());
            equal(0, stat.getNumChildren());
            equal(0L, stat.getEphemeralOwner());
            equal(stat.getCzxid(), stat.getMzxid());
            equal(stat.getCzxid(), stat.getPzxid());
            equal(stat.getCtime(), stat.getMtime());
            isTrue(Math.abs(System.currentTimeMillis() - stat.getCtime()) < 60_000, "ctime is far from now");
        });
        test("create: already there", () -> fails(Code.NODEEXISTS, () -> make(zk, "/a")));
        test("create: no parent", () -> fails(Code.NONODE, () -> make(zk, "/none/b")));
        test("create: the root", () -> fails(Code.NODEEXISTS, () -> make(zk, "/")));
        test("create: empty acl", () -> fails(Code.INVALIDACL,
            () -> zk.create("/noacl", new byte[0], new ArrayList<>(), CreateMode.PERSISTENT)));
        test("create: unknown scheme in acl", () -> fails(Code.INVALIDACL, () -> zk.create("/noacl", new byte[0],
            Collections.singletonList(new ACL(Perms.ALL, new Id("nobody", "knows"))), CreateMode.PERSISTENT)));
        test("create: null data stays null, empty stays empty", () -> {
            make(zk, "/null", null, CreateMode.PERSISTENT);
            make(zk, "/empty", "", CreateMode.PERSISTENT);
            equal(null, zk.getData("/null", false, null));
            equal(0, zk.getData("/empty", false, null).length);
            equal(0, zk.exists("/null", false).getDataLength());
        });
        test("create: sequential names count the parent's changes", () -> {
            make(zk, "/seq");
            equal("/seq/n-0000000000", make(zk, "/seq/n-", "", CreateMode.PERSISTENT_SEQUENTIAL));
            equal("/seq/n-0000000001", make(zk, "/seq/n-", "", CreateMode.EPHEMERAL_SEQUENTIAL));
            make(zk, "/seq/plain");
            equal("/seq/0000000003", make(zk, "/seq/", "", CreateMode.PERSISTENT_SEQUENTIAL));
            Stat stat = zk.exists("/seq", false);
            equal(4, stat.getNumChildren());
            equal(4, stat.getCversion());
        });
        test("create: ephemeral has an owner and no children", () -> {
            make(zk, "/eph", "", CreateMode.EPHEMERAL);
            equal(zk.getSessionId(), zk.exists("/eph", false).getEphemeralOwner());
            fails(Code.NOCHILDRENFOREPHEMERALS, () -> make(zk, "/eph/child"));
        });
        test("create2: all modes answer with a stat", () -> {
            for (CreateMode mode : List.of(CreateMode.PERSISTENT, CreateMode.EPHEMERAL,
                    CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL)) {
                Stat stat = new Stat();
                String path = zk.create("/create2-" + mode.toFlag(), bytes("xy"), Ids.OPEN_ACL_UNSAFE, mode, stat);
                equal(zk.exists(path, false), stat);
                equal(2, stat.getDataLength());
                equal(mode.isEphemeral() ? zk.getSessionId() : 0L, stat.getEphemeralOwner());
                equal(mode.isSequential(), path.length() > "/create2-0".length());
            }
        });
        test("create: names of other alphabets", () -> {
            String path = "/\u00e9\u4e2d\u0416 with space";
            equal(path, make(zk, path, "\u4e2d", CreateMode.PERSISTENT));
            isTrue(zk.getChildren("/", false).contains(path.substring(1)), "not listed");
        });
        test("create: a node of nearly 1 MiB, and one over it", () -> {
            byte[] large = new byte[1000 * 1000];
            Arrays.fill(large, (byte) 7);
            zk.create("/large", large, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            isTrue(Arrays.equals(large, zk.getData("/large", false, null)), "other bytes");
            ZooKeeper other = connect();
            try {
                other.create("/toolarge", new byte[1200 * 1000], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                throw new AssertionError("1.2 MB were taken");
            } catch (KeeperException.ConnectionLossException expected) {
                equal(null, zk.exists("/toolarge", false));
            } finally {
                other.close();
            }
        });
        test("chroot", () -> {
            make(zk, "/root");
            Events events = new Events();
            ZooKeeper inside = new ZooKeeper(address + "/root", SESSION_MS, events);
            isTrue(events.connected.await(WAIT_MS, TimeUnit.MILLISECONDS), "no session");
            equal("/x", make(inside, "/x"));
            isTrue(zk.exists("/root/x", false) != null, "made elsewhere");
            inside.close();
        });
        zk.close();
    }

    private static void changes() throws Exception {
        ZooKeeper zk = connect();
        make(zk, "/c");
        test("setData: version, mzxid, mtime", () -> {
            Stat before = zk.exists("/c", false);
            Stat after = zk.setData("/c", bytes("new"), 0);
            equal(1, after.getVersion());
            equal(3, after.getDataLength());
            equal(before.getCzxid(), after.getCzxid());
            isTrue(after.getMzxid() > before.getMzxid(), "mzxid stays");
            equal(after, zk.exists("/c", false));
            equal(2, zk.setData("/c", bytes("newer"), -1).getVersion());
        });
        test("setData: wrong version", () -> fails(Code.BADVERSION, () -> zk.setData("/c", bytes("x"), 1)));
        test("setData: no node", () -> fails(Code.NONODE, () -> zk.setData("/none", bytes("x"), -1)));
        test("getData: no node", () -> fails(Code.NONODE, () -> zk.getData("/none", false, null)));
        test("exists: no node", () -> equal(null, zk.exists("/none", false)));
        test("getChildren: no node", () -> fails(Code.NONODE, () -> zk.getChildren("/none", false)));
        test("getChildren and getChildren2", () -> {
            for (String name : List.of("x", "y", "z")) {
                make(zk, "/c/" + name);
            }
            Set<String> expected = new TreeSet<>(List.of("x", "y", "z"));
            equal(expected, new TreeSet<>(zk.getChildren("/c", false)));
            Stat stat = new Stat();
            equal(expected, new TreeSet<>(zk.getChildren("/c", false, stat)));
            equal(3, stat.getNumChildren());
            equal(3, stat.getCversion());
            equal(zk.exists("/c/z", false).getCzxid(), stat.getPzxid());
        });
        test("delete: not empty", () -> fails(Code.NOTEMPTY, () -> zk.delete("/c", -1)));
        test("delete: wrong version", () -> fails(Code.BADVERSION, () -> zk.delete("/c/x", 9)));
        test("delete: no node", () -> fails(Code.NONODE, () -> zk.delete("/c/none", -1)));
        test("delete: changes the parent", () -> {
            zk.delete("/c/x", 0);
            Stat stat = zk.exists("/c", false);
            equal(2, stat.getNumChildren());
            equal(4, stat.getCversion());
            isTrue(stat.getPzxid() > zk.exists("/c/z", false).getCzxid(), "pzxid stays");
            equal(2, stat.getVersion());
        });
        test("delete: the root", () -> fails(Code.BADARGUMENTS, () -> zk.delete("/", -1)));
        test("sync", () -> {
            CountDownLatch done = new CountDownLatch(1);
            List<Object> seen = new ArrayList<>();
            zk.sync("/c", (code, path, context) -> {
                seen.add(code);
                seen.add(path);
                done.countDown();
            }, null);
            isTrue(done.await(WAIT_MS, TimeUnit.MILLISECONDS), "no answer");
            equal(List.of(0, "/c"), seen);
        });
        test("getAllChildrenNumber", () -> equal(2, zk.getAllChildrenNumber("/c")));
        test("getEphemerals", () -> {
            make(zk, "/c/e", "", CreateMode.EPHEMERAL);
            equal(List.of("/c/e"), zk.getEphemerals("/c"));
        });
        test("system nodes", () -> {
            isTrue(zk.getChildren("/", false).contains("zookeeper"), "no /zookeeper");
            equal(new TreeSet<>(List.of("config", "quota")), new TreeSet<>(zk.getChildren("/zookeeper", false)));
        });
        test("pipelined requests are answered in order", () -> {
            int count = 2000;
            List<Integer> order = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch done = new CountDownLatch(count);
            make(zk, "/p");
            for (int i = 0; i < count; i++) {
                int number = i;
                if (i % 2 == 0) {
                    zk.create("/p/" + i, bytes("" + i), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (AsyncCallback.StringCallback) (code, path, context, name) -> {
                            order.add(code == 0 ? number : -1);
                            done.countDown();
                        }, null);
                } else {
                    zk.getData("/p/" + (i - 1), false, (code, path, context, data, stat) -> {
                        order.add(code == 0 && new String(data).equals("" + (number - 1)) ? number : -1);
                        done.countDown();
                    }, null);
                }
            }
            isTrue(done.await(3 * WAIT_MS, TimeUnit.MILLISECONDS), "answers are missing: " + done.getCount());
            for (int i = 0; i < count; i++) {
                equal(i, order.get(i));
            }
            equal(count / 2, zk.getChildren("/p", false).size());
        });
        zk.close();
    }

    private static void multis() throws Exception {
        ZooKeeper zk = connect();
        make(zk, "/m");
        test("multi: every kind of step", () -> {
            List<OpResult> results = zk.multi(List.of(
                Op.create("/m/a", bytes("a"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData("/m/a", bytes("b"), 0),
                Op.check("/m/a", 1),
                Op.create("/m/s-", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.create("/m/gone", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.delete("/m/gone", 0)));
            equal(6, results.size());
            equal("/m/a", ((OpResult.CreateResult) results.get(0)).getPath());
            equal(1, ((OpResult.SetDataResult) results.get(1)).getStat().getVersion());
            isTrue(results.get(2) instanceof OpResult.CheckResult, "no check result");
            isTrue(((OpResult.CreateResult) results.get(3)).getPath().startsWith("/m/s-0"), "no sequence");
            isTrue(results.get(5) instanceof OpResult.DeleteResult, "no delete result");
            equal("b", new String(zk.getData("/m/a", false, null)));
            equal(null, zk.exists("/m/gone", false));
        });
        test("multi: one zxid for all", () -> {
            zk.multi(List.of(Op.create("/m/one", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create("/m/two", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
            equal(zk.exists("/m/one", false).getCzxid(), zk.exists("/m/two", false).getCzxid());
        });
        test("multi: a failed step undoes all, and the answer names it", () -> {
            try {
                zk.multi(List.of(Op.create("/m/undone", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.check("/m/a", 7),
                    Op.delete("/m/a", -1)));
                throw new AssertionError("taken");
            } catch (KeeperException error) {
                equal(Code.BADVERSION, error.code());
                List<OpResult> results = error.getResults();
                equal(3, results.size());
                equal(0, ((OpResult.ErrorResult) results.get(0)).getErr());
                equal(Code.BADVERSION.intValue(), ((OpResult.ErrorResult) results.get(1)).getErr());
                equal(Code.RUNTIMEINCONSISTENCY.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
            }
            equal(null, zk.exists("/m/undone", false));
            isTrue(zk.exists("/m/a", false) != null, "deleted");
        });
        test("multi: a failed multi leaves no trace in sequence numbers", () -> {
            int before = zk.exists("/m", false).getCversion();
            fails(Code.NONODE, () -> zk.multi(List.of(
                Op.create("/m/s-", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.delete("/m/none", -1))));
            equal(before, zk.exists("/m", false).getCversion());
        });
        test("multi: create2 in it", () -> {
            List<OpResult> results = zk.multi(List.of(Op.create("/m/stat", bytes("1"), Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT.toFlag())));
            equal(1, results.size());
        });
        test("multi: empty", () -> equal(0, zk.multi(new ArrayList<>()).size()));
        test("multi: check alone", () -> {
            equal(1, zk.multi(List.of(Op.check("/m", -1))).size());
            fails(Code.NONODE, () -> zk.multi(List.of(Op.check("/m/none", -1))));
        });
        test("multi: a parent made by an earlier step", () -> {
            Transaction transaction = zk.transaction();
            transaction.create("/m/p", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .create("/m/p/q", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .delete("/m/p/q", -1).delete("/m/p", -1).commit();
            equal(null, zk.exists("/m/p", false));
        });
        test("multi: reads", () -> {
            List<OpResult> results = zk.multi(List.of(Op.getData("/m/a"), Op.getChildren("/m/a"),
                Op.getData("/m/none")));
            equal("b", new String(((OpResult.GetDataResult) results.get(0)).getData()));
            equal(0, ((OpResult.GetChildrenResult) results.get(1)).getChildren().size());
            equal(Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
        });
        zk.close();
    }

    // Watches.

    private static void happened(Events events, EventType type, String path) throws Exception {
        WatchedEvent event = events.next();
        isTrue(event != null, "no event " + type + " of " + path);
        equal(type + " " + path, event.getType() + " " + event.getPath());
        equal(KeeperState.SyncConnected, event.getState());
    }

    private static void watches() throws Exception {
        ZooKeeper zk = connect();
        ZooKeeper other = connect();
        make(zk, "/w");
        test("watch: exists sees created, once", () -> {
            Events events = new Events();
            equal(null, zk.exists("/w/e", events));
            make(other, "/w/e");
            happened(events, EventType.NodeCreated, "/w/e");
            other.setData("/w/e", bytes("1"), -1);
            isTrue(events.isQuiet(), "a second event");
        });
        test("watch: exists sees data and deletion", () -> {
            Events events = new Events();
            zk.exists("/w/e", events);
            other.setData("/w/e", bytes("2"), -1);
            happened(events, EventType.NodeDataChanged, "/w/e");
            zk.exists("/w/e", events);
            other.delete("/w/e", -1);
            happened(events, EventType.NodeDeleted, "/w/e");
        });
        test("watch: getData sees data and deletion", () -> {
            Events events = new Events();
            make(other, "/w/d");
            zk.getData("/w/d", events, null);
            other.setData("/w/d", bytes("2"), -1);
            happened(events, EventType.NodeDataChanged, "/w/d");
            zk.getData("/w/d", events, null);
            other.delete("/w/d", -1);
            happened(events, EventType.NodeDeleted, "/w/d");
        });
        test("watch: a failed getData leaves none", () -> {
            Events events = new Events();
            fails(Code.NONODE, () -> zk.getData("/w/no", events, null));
            make(other, "/w/no");
            isTrue(events.isQuiet(), "an event");
        });
        test("watch: children see created and deleted, not data", () -> {
            Events events = new Events();
            zk.getChildren("/w", events);
            other.setData("/w", bytes("x"), -1);
            isTrue(events.isQuiet(), "an event by data");
            make(other, "/w/c");
            happened(events, EventType.NodeChildrenChanged, "/w");
            zk.getChildren("/w", events, new Stat());
            other.delete("/w/c", -1);
            happened(events, EventType.NodeChildrenChanged, "/w");
            isTrue(events.isQuiet(), "a second event");
        });
        test("watch: children see the node's own deletion", () -> {
            Events events = new Events();
            make(other, "/w/own");
            zk.getChildren("/w/own", events);
            other.delete("/w/own", -1);
            happened(events, EventType.NodeDeleted, "/w/own");
        });
        test("watch: one event for two kinds of watch of one watcher", () -> {
            Events events = new Events();
            make(other, "/w/two");
            zk.getData("/w/two", events, null);
            zk.exists("/w/two", events);
            other.setData("/w/two", bytes("1"), -1);
            happened(events, EventType.NodeDataChanged, "/w/two");
            isTrue(events.isQuiet(), "a second event");
        });
        test("watch: own changes fire too", () -> {
            Events events = new Events();
            zk.exists("/w/mine", events);
            make(zk, "/w/mine");
            happened(events, EventType.NodeCreated, "/w/mine");
        });
        test("watch: the event comes before the new value", () -> {
            Events events = new Events();
            make(other, "/w/order", "old", CreateMode.PERSISTENT);
            zk.getData("/w/order", events, null);
            CountDownLatch done = new CountDownLatch(1);
            List<String> order = Collections.synchronizedList(new ArrayList<>());
            zk.getData("/w/order", event -> order.add("event"), null);
            other.setData("/w/order", bytes("new"), -1);
            eventually("the new value", () -> {
                String value = new String(zk.getData("/w/order", false, null));
                if (value.equals("new")) {
                    order.add("value");
                    done.countDown();
                }
                return done.getCount() == 0;
            });
            eventually("event", () -> order.size() == 2);
            equal(List.of("event", "value"), order);
        });
        test("watch: multi fires", () -> {
            Events events = new Events();
            zk.exists("/w/multi", events);
            other.multi(List.of(Op.create("/w/multi", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
            happened(events, EventType.NodeCreated, "/w/multi");
        });
        test("watch: the end of a session fires", () -> {
            Events events = new Events();
            ZooKeeper third = connect();
            make(third, "/w/leaves", "", CreateMode.EPHEMERAL);
            zk.exists("/w/leaves", events);
            third.close();
            happened(events, EventType.NodeDeleted, "/w/leaves");
        });
        test("watch: thousand watches on one node by thousand names", () -> {
            Events events = new Events();
            for (int i = 0; i < 1000; i++) {
                zk.exists("/w/many-" + i, events);
            }
            for (int i = 0; i < 1000; i++) {
                make(other, "/w/many-" + i);
            }
            for (int i = 0; i < 1000; i++) {
                happened(events, EventType.NodeCreated, "/w/many-" + i);
            }
        });
        other.close();
        zk.close();
    }

    // Who may.

    private static ZooKeeper as(String user) throws Exception {
        ZooKeeper zk = connect();
        if (user != null) {
            zk.addAuthInfo("digest", bytes(user));
        }
        return zk;
    }

    private static void acls() throws Exception {
        ZooKeeper nobody = as(null);
        ZooKeeper ada = as("ada:lovelace");
        ZooKeeper bob = as("bob:noyce");
        Id adaId = new Id("digest", DigestAuthenticationProvider.generateDigest("ada:lovelace"));
        make(nobody, "/acl");
        test("acl: getACL answers what create was given", () -> {
            Stat stat = new Stat();
            equal(Ids.OPEN_ACL_UNSAFE, nobody.getACL("/acl", stat));
            equal(0, stat.getAversion());
        });
        test("acl: creator's digest", () -> {
            ada.create("/acl/ada", bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            equal(Arrays.asList(new ACL(Perms.ALL, adaId)), ada.getACL("/acl/ada", new Stat()));
            equal("secret", new String(ada.getData("/acl/ada", false, null)));
        });
        test("acl: the others may not", () -> {
            for (ZooKeeper zk : List.of(nobody, bob)) {
                fails(Code.NOAUTH, () -> zk.getData("/acl/ada", false, null));
                fails(Code.NOAUTH, () -> zk.setData("/acl/ada", bytes("x"), -1));
                fails(Code.NOAUTH, () -> zk.getChildren("/acl/ada", false));
                fails(Code.NOAUTH, () -> make(zk, "/acl/ada/child"));
                fails(Code.NOAUTH, () -> zk.setACL("/acl/ada", Ids.OPEN_ACL_UNSAFE, -1));
                fails(Code.NOAUTH, () -> zk.exists("/acl/ada", false));
            }
        });
        test("acl: delete asks the parent", () -> {
            make(ada, "/acl/ada/child");
            fails(Code.NOAUTH, () -> bob.delete("/acl/ada/child", -1));
            ada.delete("/acl/ada/child", -1);
        });
        test("acl: getACL hides the hash from those who may not administer", () -> {
            List<ACL> mixed = Arrays.asList(new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE), new ACL(Perms.ALL, adaId));
            ada.create("/acl/mixed", bytes(""), mixed, CreateMode.PERSISTENT);
            equal(mixed, ada.getACL("/acl/mixed", new Stat()));
            equal("ada:x", nobody.getACL("/acl/mixed", new Stat()).get(1).getId().getId());
        });
        test("acl: getACL itself needs read or admin", () -> {
            fails(Code.NOAUTH, () -> nobody.getACL("/acl/ada", new Stat()));
        });
        test("acl: setACL and its version", () -> {
            Stat stat = ada.setACL("/acl/ada", Arrays.asList(new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, adaId)), 0);
            equal(1, stat.getAversion());
            equal(0, stat.getVersion());
            equal("secret", new String(bob.getData("/acl/ada", false, null)));
            fails(Code.NOAUTH, () -> bob.setData("/acl/ada", bytes("x"), -1));
            fails(Code.BADVERSION, () -> ada.setACL("/acl/ada", Ids.OPEN_ACL_UNSAFE, 0));
            fails(Code.NONODE, () -> ada.setACL("/acl/none", Ids.OPEN_ACL_UNSAFE, 0));
            fails(Code.INVALIDACL, () -> ada.setACL("/acl/ada", new ArrayList<>(), 1));
        });
        test("acl: each permission alone", () -> {
            make(nobody, "/acl/perms");
            nobody.setACL("/acl/perms", Arrays.asList(new ACL(Perms.CREATE, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, adaId)), -1);
            make(bob, "/acl/perms/made");
            fails(Code.NOAUTH, () -> bob.delete("/acl/perms/made", -1));
            ada.setACL("/acl/perms", Arrays.asList(new ACL(Perms.DELETE, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, adaId)), -1);
            bob.delete("/acl/perms/made", -1);
            fails(Code.NOAUTH, () -> make(bob, "/acl/perms/made"));
            ada.setACL("/acl/perms", Arrays.asList(new ACL(Perms.WRITE, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, adaId)), -1);
            bob.setData("/acl/perms", bytes("w"), -1);
            fails(Code.NOAUTH, () -> bob.getData("/acl/perms", false, null));
            ada.setACL("/acl/perms", Arrays.asList(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, adaId)), -1);
            bob.setACL("/acl/perms", Ids.READ_ACL_UNSAFE, -1);
            equal("w", new String(nobody.getData("/acl/perms", false, null)));
        });
        test("acl: ip, exact and by network", () -> {
            for (String net : List.of("127.0.0.1", "127.0.0.0/8")) {
                nobody.create("/acl/ip", bytes("i"), Arrays.asList(new ACL(Perms.ALL, new Id("ip", net))),
                    CreateMode.PERSISTENT);
                equal("i", new String(nobody.getData("/acl/ip", false, null)));
                nobody.delete("/acl/ip", -1);
            }
            nobody.create("/acl/far", bytes(""), Arrays.asList(new ACL(Perms.ALL, new Id("ip", "10.1.2.3"))),
                CreateMode.PERSISTENT);
            fails(Code.NOAUTH, () -> nobody.getData("/acl/far", false, null));
        });
        test("acl: an ip that is none", () -> fails(Code.INVALIDACL, () -> nobody.create("/acl/badip", bytes(""),
            Arrays.asList(new ACL(Perms.ALL, new Id("ip", "10.1.2.999"))), CreateMode.PERSISTENT)));
        test("acl: creator without a name", () -> fails(Code.INVALIDACL,
            () -> nobody.create("/acl/anon", bytes(""), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT)));
        test("acl: two names of one session", () -> {
            ZooKeeper both = as("ada:lovelace");
            both.addAuthInfo("digest", bytes("bob:noyce"));
            both.create("/acl/both", bytes(""), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            equal(2, both.getACL("/acl/both", new Stat()).size());
            isTrue(bob.getData("/acl/both", false, null) != null, "bob may not");
            both.close();
        });
        test("acl: whoAmI", () -> {
            List<String> schemes = new ArrayList<>();
            ada.whoAmI().forEach(info -> schemes.add(info.getAuthScheme()));
            Collections.sort(schemes);
            equal(List.of("digest", "ip"), schemes);
        });
        test("auth: an unknown scheme fails the session", () -> {
            Events events = new Events();
            ZooKeeper zk = connect(events, SESSION_MS);
            zk.addAuthInfo("nothing", bytes("x"));
            eventually("no AuthFailed", () -> events.nextState() == KeeperState.AuthFailed);
            zk.close();
        });
        for (ZooKeeper zk : List.of(nobody, ada, bob)) {
            zk.close();
        }
    }

    // Sessions.

    /** A session that pings lives on, without an event. False: the client could not ping, so that it says nothing. */
    private static boolean isKept(int sessionMs) throws Exception {
        Events events = new Events();
        ZooKeeper zk = connect(events, sessionMs);
        events.queue.clear();
        WatchedEvent event = null;
        long began = System.nanoTime();
        long last = began;
        long gap = 0;
        while (event == null && last - began < TimeUnit.MILLISECONDS.toNanos(sessionMs + 5000)) {
            event = events.queue.poll(100, TimeUnit.MILLISECONDS);
            long now = System.nanoTime();
            gap = Math.max(gap, now - last);
            last = now;
        }
        boolean wasLate = gap > TimeUnit.MILLISECONDS.toNanos(sessionMs / 5);
        isTrue(wasLate || event == null, "an event of the session");
        isTrue(wasLate || zk.exists("/", false) != null, "gone");
        zk.close();
        return !wasLate;
    }

    private static void sessions() throws Exception {
        test("session: the timeout is negotiated between two ticks and what is configured", () -> {
            Events low = new Events();
            ZooKeeper zk = connect(low, 10);
            equal(1000, zk.getSessionTimeout());
            zk.close();
            zk = connect(new Events(), 5000);
            equal(5000, zk.getSessionTimeout());
            zk.close();
            zk = connect(new Events(), 10_000_000);
            equal(SESSION_MS, zk.getSessionTimeout());
            zk.close();
        });
        test("session: close takes the ephemerals", () -> {
            ZooKeeper zk = connect();
            ZooKeeper other = connect();
            make(zk, "/s-eph", "", CreateMode.EPHEMERAL);
            zk.close();
            equal(null, other.exists("/s-eph", false));
            other.close();
        });
        test("session: resumed by id and password", () -> {
            Events first = new Events();
            ZooKeeper zk = connect(first, SESSION_MS);
            make(zk, "/s-resume", "", CreateMode.EPHEMERAL);
            Events second = new Events();
            ZooKeeper again = new ZooKeeper(address, SESSION_MS, second, zk.getSessionId(), zk.getSessionPasswd());
            isTrue(second.connected.await(WAIT_MS, TimeUnit.MILLISECONDS), "not resumed");
            equal(zk.getSessionId(), again.getSessionId());
            equal(zk.getSessionId(), again.exists("/s-resume", false).getEphemeralOwner());
            again.close();
        });
        test("session: a wrong password expires", () -> {
            ZooKeeper zk = connect();
            byte[] wrong = zk.getSessionPasswd().clone();
            wrong[0] ^= 1;
            Events events = new Events();
            ZooKeeper thief = new ZooKeeper(address, SESSION_MS, events, zk.getSessionId(), wrong);
            equal(KeeperState.Expired, events.nextState());
            eventually("the owner was thrown out", () -> {
                try {
                    return zk.exists("/", false) != null;
                } catch (KeeperException.ConnectionLossException moved) {
                    return false;
                }
            });
            thief.close();
            zk.close();
        });
        test("session: an unknown id expires", () -> {
            Events events = new Events();
            ZooKeeper zk = new ZooKeeper(address, SESSION_MS, events, 0x1234567890L, new byte[16]);
            equal(KeeperState.Expired, events.nextState());
            zk.close();
        });
        test("session: a closed one cannot come back", () -> {
            ZooKeeper zk = connect();
            long id = zk.getSessionId();
            byte[] password = zk.getSessionPasswd();
            zk.close();
            Events events = new Events();
            ZooKeeper again = new ZooKeeper(address, SESSION_MS, events, id, password);
            equal(KeeperState.Expired, events.nextState());
            again.close();
        });
        test("session: pings keep it beyond its timeout", () -> {
            while (!isKept(15_000)) {
                System.err.println("the machine stood still, and nobody could ping: begun anew");
            }
        });
        test("session: a client that may read only is served", () -> {
            Events events = new Events();
            ZooKeeper zk = new ZooKeeper(address, SESSION_MS, events, true);
            isTrue(events.connected.await(WAIT_MS, TimeUnit.MILLISECONDS), "no session");
            equal(ZooKeeper.States.CONNECTED, zk.getState());
            zk.close();
        });
        test("session: ephemerals of a killed client go after its timeout", () -> {
            ZooKeeper zk = connect();
            Events events = new Events();
            ask("victim /s-victim");
            isTrue(zk.exists("/s-victim", events) != null, "not made");
            ask("kill");
            isTrue(zk.exists("/s-victim", events) != null, "gone at once: the session did not wait its timeout");
            happened(events, EventType.NodeDeleted, "/s-victim");
            equal(null, zk.exists("/s-victim", false));
            zk.close();
        });
    }

    // The server goes and comes back.

    private static void outage(String word) throws Exception {
        Events session = new Events();
        ZooKeeper zk = connect(session, SESSION_MS);
        zk.addAuthInfo("digest", bytes("ada:lovelace"));
        String root = "/" + word;
        make(zk, root);
        make(zk, root + "/eph", "", CreateMode.EPHEMERAL);
        make(zk, root + "/data", "before", CreateMode.PERSISTENT);
        make(zk, root + "/dies", "", CreateMode.PERSISTENT);
        zk.create(root + "/acl", bytes("mine"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Stat dataStat = zk.exists(root + "/data", false);
        long id = zk.getSessionId();
        Events data = new Events();
        Events exists = new Events();
        Events children = new Events();
        Events quiet = new Events();
        zk.getData(root + "/data", data, null);
        zk.exists(root + "/comes", exists);
        zk.getChildren(root, children);
        zk.getData(root + "/dies", quiet, null);
        session.queue.clear();
        test(word + ": the client reconnects with its session", () -> {
            ask(word);
            equal(KeeperState.Disconnected, session.nextState());
            equal(KeeperState.SyncConnected, session.nextState());
            eventually("still the session", () -> zk.getState() == ZooKeeper.States.CONNECTED);
            equal(id, zk.getSessionId());
        });
        test(word + ": the tree is as it was", () -> {
            Stat stat = new Stat();
            equal("before", new String(zk.getData(root + "/data", false, stat)));
            equal(dataStat, stat);
            equal(id, zk.exists(root + "/eph", false).getEphemeralOwner());
        });
        test(word + ": auth is there again", () ->
            equal("mine", new String(zk.getData(root + "/acl", false, null))));
        test(word + ": watches were set again and are quiet", () -> {
            for (Events events : List.of(data, exists, children, quiet)) {
                events.queue.removeIf(event -> event.getType() == EventType.None);
                isTrue(events.queue.isEmpty(), "an event without a change: " + events.queue.peek());
            }
        });
        test(word + ": watches that were set again fire", () -> {
            ZooKeeper other = connect();
            other.setData(root + "/data", bytes("after"), -1);
            happened(data, EventType.NodeDataChanged, root + "/data");
            make(other, root + "/comes");
            happened(exists, EventType.NodeCreated, root + "/comes");
            happened(children, EventType.NodeChildrenChanged, root);
            other.delete(root + "/dies", -1);
            happened(quiet, EventType.NodeDeleted, root + "/dies");
            other.close();
        });
        test(word + ": zxids go on", () ->
            isTrue(zk.exists(root + "/comes", false).getCzxid() > dataStat.getCzxid(), "zxid went back"));
        test(word + ": sequence numbers go on", () -> {
            Stat stat = zk.exists(root, false);
            int created = (stat.getCversion() + stat.getNumChildren()) / 2;
            equal(String.format("%s/n-%010d", root, created),
                make(zk, root + "/n-", "", CreateMode.PERSISTENT_SEQUENTIAL));
        });
        zk.close();
    }

    /** What a client missed while it was away comes with its setWatches. */
    private static void missed() throws Exception {
        test("setWatches: changes missed while away are told", () -> {
            ZooKeeper stable = connect();
            make(stable, "/missed");
            make(stable, "/missed/data");
            make(stable, "/missed/dies");
            Events session = new Events();
            ZooKeeper zk = connect(session, SESSION_MS);
            Events data = new Events();
            Events comes = new Events();
            Events dies = new Events();
            Events children = new Events();
            zk.getData("/missed/data", data, null);
            zk.exists("/missed/comes", comes);
            zk.exists("/missed/dies", dies);
            zk.getChildren("/missed", children);
            // The same session opened elsewhere takes the connection; meanwhile the tree changes.
            Events thief = new Events();
            ZooKeeper mover = new ZooKeeper(address, SESSION_MS, thief, zk.getSessionId(), zk.getSessionPasswd());
            isTrue(thief.connected.await(WAIT_MS, TimeUnit.MILLISECONDS), "not moved");
            stable.setData("/missed/data", bytes("1"), -1);
            make(stable, "/missed/comes");
            stable.delete("/missed/dies", -1);
            happened(data, EventType.NodeDataChanged, "/missed/data");
            happened(comes, EventType.NodeCreated, "/missed/comes");
            happened(dies, EventType.NodeDeleted, "/missed/dies");
            happened(children, EventType.NodeChildrenChanged, "/missed");
            mover.close();
            stable.close();
        });
    }

    /** Beyond this server's first issue, but what Apache's own recipes lean on. */
    private static void newer() throws Exception {
        ZooKeeper zk = connect();
        ZooKeeper other = connect();
        make(zk, "/newer");
        test("newer: container", () -> {
            equal("/newer/box", zk.create("/newer/box", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER));
            equal("/newer/box2", zk.create("/newer/box2", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER, new Stat()));
            make(zk, "/newer/box/in");
        });
        test("newer: removeWatches", () -> {
            Events events = new Events();
            zk.exists("/newer/rm", events);
            zk.removeWatches("/newer/rm", events, Watcher.WatcherType.Any, false);
            make(other, "/newer/rm");
            WatchedEvent event = events.next();
            equal(EventType.DataWatchRemoved, event.getType());
            isTrue(events.isQuiet(), "an event after the removal");
        });
        test("newer: persistent watch", () -> {
            Events events = new Events();
            make(other, "/newer/pw");
            zk.addWatch("/newer/pw", events, AddWatchMode.PERSISTENT);
            other.setData("/newer/pw", bytes("1"), -1);
            happened(events, EventType.NodeDataChanged, "/newer/pw");
            make(other, "/newer/pw/c");
            happened(events, EventType.NodeChildrenChanged, "/newer/pw");
            other.setData("/newer/pw", bytes("2"), -1);
            happened(events, EventType.NodeDataChanged, "/newer/pw");
        });
        test("newer: recursive watch", () -> {
            Events events = new Events();
            make(other, "/newer/rw");
            zk.addWatch("/newer/rw", events, AddWatchMode.PERSISTENT_RECURSIVE);
            make(other, "/newer/rw/a");
            happened(events, EventType.NodeCreated, "/newer/rw/a");
            make(other, "/newer/rw/a/b");
            happened(events, EventType.NodeCreated, "/newer/rw/a/b");
            other.delete("/newer/rw/a/b", -1);
            happened(events, EventType.NodeDeleted, "/newer/rw/a/b");
        });
        zk.close();
        other.close();
    }

    private static void victim(String path) throws Exception {
        ZooKeeper zk = connect(new Events(), 12000);
        make(zk, path, "", CreateMode.EPHEMERAL);
        System.out.println("holding " + path);
        System.out.flush();
        Thread.sleep(Long.MAX_VALUE);
    }

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        if (arguments[1].equals("victim")) {
            victim(arguments[2]);
        }
        only = arguments.length > 2 ? arguments[2] : "";
        creates();
        changes();
        multis();
        watches();
        acls();
        sessions();
        outage("restart");
        outage("crash");
        missed();
        newer();
        System.exit(0);
    }
}
