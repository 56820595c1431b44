import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * A large tree of znodes of all kinds, by Apache's own client.
 *
 * write ADDRESS COUNT SEED  makes COUNT znodes below /tree/SEED, and says how many there are
 * hold ADDRESS SESSIONS     sessions with ephemerals; a line "check" asks whether they all still live
 * load ADDRESS              creates below /load, saying "acked PATH" for each, until it is killed or cut off
 * dump ADDRESS FILE         a sorted line for each znode into FILE: path, data, every field of its stat, its access list
 */
public class Znodes {
    private static final int WINDOW = 1000;
    private static final int SESSION_MS = 300_000; // Longer than a machine stands still.
    private static final long TTL_MS = 3_600_000;

    private static ZooKeeper connect(String address, boolean isSuper) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper keeper = new ZooKeeper(address, SESSION_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        if (!connected.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no connection");
        }
        keeper.addAuthInfo("digest", (isSuper ? "super:test" : "ada:lovelace").getBytes());
        return keeper;
    }

    private static List<ACL> access(int number) throws Exception {
        switch (number % 11) {
            case 3: return List.of(new ACL(ZooDefs.Perms.ALL, new Id("auth", "")));
            case 5: return List.of(new ACL(ZooDefs.Perms.ALL, new Id("ip", "127.0.0.1")),
                                   new ACL(ZooDefs.Perms.READ, new Id("ip", "10.0.0.0/8")));
            case 7: return List.of(new ACL(ZooDefs.Perms.READ, new Id("world", "anyone")),
                                   new ACL(ZooDefs.Perms.ALL, new Id("digest", "ada:x" + number % 100)));
            default: return ZooDefs.Ids.OPEN_ACL_UNSAFE;
        }
    }

    private static byte[] data(int number, Random dice) {
        switch (number % 7) {
            case 1: return null;
            case 2: return new byte[0];
            default:
                byte[] bytes = new byte[number % 1000 == 3 ? 20000 + dice.nextInt(200000) : dice.nextInt(120)];
                dice.nextBytes(bytes);
                return bytes;
        }
    }

    private static String name(int number) {
        String[] odd = {"n", "\u00e9t\u00e9-", "\u6f22\u5b57-", "a b ", "..x", "\u0416\u044f", "%2f$&'\"", "\ud7ff"};
        return odd[number % 5 == 0 ? number / 5 % odd.length : 0] + number;
    }

    private static CreateMode mode(int number) {
        switch (number % 10) {
            case 4: return CreateMode.CONTAINER;
            case 5: return CreateMode.PERSISTENT_WITH_TTL;
            case 6: return CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL;
            case 7: return CreateMode.PERSISTENT_SEQUENTIAL;
            default: return CreateMode.PERSISTENT;
        }
    }

    private static void write(String address, int count, int seed) throws Exception {
        Random dice = new Random(seed);
        ZooKeeper keeper = connect(address, false);
        Semaphore room = new Semaphore(WINDOW);
        AtomicInteger made = new AtomicInteger();
        String top = "/tree/" + seed;
        for (String path : new String[] {"/tree", top}) {
            if (keeper.exists(path, false) == null) {
                keeper.create(path, null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            }
        }
        SetQuotaCommand.createQuota(keeper, top, quota(count));
        for (int folder = 0; folder < 50; folder++) {
            keeper.create(top + "/d" + folder, null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        }
        for (int number = 0; number < count; number++) {
            String path = top + "/d" + number % 50 + "/" + name(number);
            CreateMode mode = mode(number);
            room.acquire();
            keeper.create(path, data(number, dice), access(number), mode, (code, p, context, name, stat) -> {
                if (code == 0) {
                    made.incrementAndGet();
                }
                room.release();
            }, null, mode.isTTL() ? TTL_MS : -1);
            if (number % 20 == 19 && mode(number - 1) == CreateMode.PERSISTENT) {
                change(keeper, top + "/d" + (number - 1) % 50 + "/" + name(number - 1), number, room, dice);
            }
        }
        room.acquire(WINDOW);
        System.out.println("made " + made.get());
        keeper.close();
    }

    private static StatsTrack quota(int count) {
        StatsTrack quota = new StatsTrack();
        quota.setCount(2L * count);
        quota.setBytes(1L << 40);
        quota.setCountHardLimit(3L * count);
        quota.setByteHardLimit(-1);
        return quota;
    }

    /** A set, a delete, a multi that succeeds, one that fails: what they do is not looked at. */
    private static void change(ZooKeeper keeper, String path, int number, Semaphore room, Random dice) throws Exception {
        room.acquire();
        switch (number / 20 % 4) {
            case 0: keeper.setData(path, data(number + 1, dice), -1, (code, p, context, stat) -> room.release(), null); break;
            case 1: keeper.delete(path, -1, (code, p, context) -> room.release(), null); break;
            case 2:
                keeper.multi(List.of(Op.create(path + "/m", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                                     Op.setData(path, "multi".getBytes(), -1)),
                             (code, p, context, results) -> room.release(), null);
                break;
            default:
                keeper.multi(List.of(Op.create(path + "/m", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                                     Op.check(path, 77)),
                             (code, p, context, results) -> room.release(), null);
        }
    }

    private static void hold(String address, int sessions) throws Exception {
        List<ZooKeeper> keepers = new ArrayList<>();
        for (int session = 0; session < sessions; session++) {
            ZooKeeper keeper = connect(address, false);
            for (int number = 0; number < 30; number++) {
                keeper.create("/held-" + session + "-" + number, "held".getBytes(), ZooDefs.Ids.OPEN_ACL_UNSAFE,
                              number % 2 == 0 ? CreateMode.EPHEMERAL : CreateMode.EPHEMERAL_SEQUENTIAL);
            }
            keepers.add(keeper);
        }
        System.out.println("holding");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            int alive = 0;
            for (ZooKeeper keeper : keepers) {
                alive += ownEphemerals(keeper);
            }
            System.out.println("own " + alive);
        }
        System.exit(0);
    }

    private static int ownEphemerals(ZooKeeper keeper) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                return keeper.getEphemerals().size();
            } catch (KeeperException.ConnectionLossException again) {
                if (attempt == 200) {
                    throw again;
                }
                Thread.sleep(50);
            }
        }
    }

    private static void load(String address) throws Exception {
        ZooKeeper keeper = connect(address, false);
        if (keeper.exists("/load", false) == null) {
            keeper.create("/load", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        }
        Semaphore room = new Semaphore(100);
        while (true) {
            room.acquire();
            keeper.create("/load/l", new byte[300], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL,
                          (code, path, context, name) -> {
                              if (code != 0) {
                                  System.exit(0);
                              }
                              System.out.println("acked " + name);
                              room.release();
                          }, null);
        }
    }

    private static String line(byte[] data, Stat stat, List<ACL> acls) throws Exception {
        String bytes = data == null ? "null" : data.length < 200 ? hex(data)
                : data.length + ":" + hex(MessageDigest.getInstance("SHA-256").digest(data));
        StringBuilder text = new StringBuilder(bytes);
        for (long field : new long[] {stat.getCzxid(), stat.getMzxid(), stat.getCtime(), stat.getMtime(), stat.getVersion(),
                                      stat.getCversion(), stat.getAversion(), stat.getEphemeralOwner(),
                                      stat.getDataLength(), stat.getNumChildren(), stat.getPzxid()}) {
            text.append('\t').append(field);
        }
        for (ACL acl : acls) {
            text.append('\t').append(acl.getPerms()).append(':').append(acl.getId().getScheme()).append(':').append(acl.getId().getId());
        }
        return text.toString();
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder("x");
        for (byte one : bytes) {
            text.append(String.format("%02x", one));
        }
        return text.toString();
    }

    /** A line for each path; returns those that have children. */
    private static Queue<String> look(ZooKeeper keeper, List<String> paths, Map<String, String> lines) throws Exception {
        Semaphore room = new Semaphore(WINDOW);
        Queue<String> parents = new ConcurrentLinkedQueue<>();
        for (String path : paths) {
            room.acquire();
            keeper.getData(path, false, (code, p, context, data, stat) -> keeper.getACL(p, new Stat(),
                    (aclCode, q, aclContext, acls, aclStat) -> {
                        try {
                            lines.put(q, code == 0 && aclCode == 0 ? line(data, stat, acls) : "code " + code + " " + aclCode);
                        } catch (Exception failure) {
                            lines.put(q, failure.toString());
                        }
                        if (stat != null && stat.getNumChildren() > 0) {
                            parents.add(q);
                        }
                        room.release();
                    }, null), null);
        }
        room.acquire(WINDOW);
        return parents;
    }

    private static void dump(String address, String file) throws Exception {
        ZooKeeper keeper = connect(address, true);
        Map<String, String> lines = new ConcurrentSkipListMap<>();
        List<String> level = List.of("/");
        while (!level.isEmpty()) {
            List<String> next = new ArrayList<>();
            for (String path : look(keeper, level, lines)) {
                for (String name : keeper.getChildren(path, false)) {
                    next.add(path.equals("/") ? "/" + name : path + "/" + name);
                }
            }
            level = next;
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(file), StandardCharsets.UTF_8))) {
            lines.forEach((path, line) -> out.println(path + "\t" + line));
        }
        System.out.println("znodes " + lines.size());
        keeper.close();
    }

    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "write": write(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3])); break;
            case "hold": hold(words[1], Integer.parseInt(words[2])); break;
            case "load": load(words[1]); break;
            default: dump(words[1], words[2]);
        }
    }
}
