import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Writers and watchers of Apache's Java client, which sets its watches anew on every server it comes to.
 *
 * A writer makes the next version only when every watcher has seen the last one: so each write must be seen, in order, whatever
 * happens to the servers. Ends when its input does.
 */
public class Watches {
    static final int PAIRS = 3;
    static final long PATIENCE_S = 120;
    static final int SESSION_MS = 100_000; // Longer than a machine stands still.
    static volatile boolean stopping;
    static volatile int count;
    static final List<String> wrong = new ArrayList<>();

    static synchronized void bad(String text) {
        wrong.add(text);
    }

    static synchronized void seen() {
        count++;
    }

    static ZooKeeper connect(String addresses, Watcher watcher) throws Exception {
        ZooKeeper made = new ZooKeeper(addresses, SESSION_MS, watcher);
        retry(() -> made.exists("/", false));
        return made;
    }

    interface Request<T> {
        T ask() throws KeeperException, InterruptedException;
    }

    /** Asks until there is an answer. */
    static <T> T retry(Request<T> request) throws KeeperException, InterruptedException {
        while (true) {
            try {
                return request.ask();
            } catch (KeeperException.ConnectionLossException lost) {
                Thread.sleep(50);
            }
        }
    }

    /** Versions of a znode as one client is told of them by one-shot data watches, set by each getData. */
    static class OneShot implements Watcher {
        final BlockingQueue<Integer> versions = new LinkedBlockingQueue<>();
        final BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        final String path;
        ZooKeeper client;

        OneShot(String path) {
            this.path = path;
        }

        public void process(WatchedEvent event) {
            if (event.getState() == Event.KeeperState.Expired) {
                bad("the session of a watcher of " + path + " has expired");
            }
            if (event.getType() != Event.EventType.None) {
                events.add(event);
            }
        }

        void follow() {
            try {
                while (!stopping) {
                    Stat stat = new Stat();
                    retry(() -> client.getData(path, this, stat));
                    versions.add(stat.getVersion());
                    if (events.poll(PATIENCE_S, TimeUnit.SECONDS) == null && !stopping) {
                        bad("no event after version " + stat.getVersion() + " of " + path);
                    }
                }
            } catch (Exception error) {
                bad("a watcher of " + path + ": " + error);
            }
        }
    }

    /** Children of a znode as one client is told of them by child watches. */
    static class Children extends OneShot {
        Children(String path) {
            super(path);
        }

        @Override
        void follow() {
            try {
                while (!stopping) {
                    versions.add(retry(() -> client.getChildren(path, this)).size());
                    if (events.poll(PATIENCE_S, TimeUnit.SECONDS) == null && !stopping) {
                        bad("no event of the children of " + path);
                    }
                }
            } catch (Exception error) {
                bad("a watcher of the children of " + path + ": " + error);
            }
        }
    }

    static void await(OneShot watcher, int version) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        while (!stopping) {
            Integer seen = watcher.versions.poll(100, TimeUnit.MILLISECONDS);
            if (seen == null && System.nanoTime() > until) {
                bad("version " + version + " of " + watcher.path + " is not seen");
                return;
            }
            if (seen == null) {
                continue;
            }
            if (seen == version) {
                seen();
                return;
            }
            // The same once more after an event that came twice; never more than was written, nor less than was seen.
            if (seen != version - 1) {
                bad("version " + seen + " of " + watcher.path + " is seen, where " + version + " was to come");
            }
        }
    }

    static void write(ZooKeeper writer, String path, OneShot data, OneShot children) {
        try {
            await(data, 0);
            await(children, 0);
            for (int version = 1; !stopping; version++) {
                int expected = version - 1;
                try {
                    retry(() -> writer.setData(path, new byte[0], expected));
                } catch (KeeperException.BadVersionException done) {
                    // An earlier try has had no answer, and was done.
                }
                await(data, version);
                String child = path + "/" + version;
                try {
                    retry(() -> writer.create(child, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
                } catch (KeeperException.NodeExistsException done) {
                    // The same.
                }
                await(children, version);
            }
        } catch (Exception error) {
            bad("a writer of " + path + ": " + error);
        }
    }

    public static void main(String[] words) throws Exception {
        List<Thread> writers = new ArrayList<>();
        for (int pair = 0; pair < PAIRS; pair++) {
            String path = "/watched" + pair;
            ZooKeeper writer = connect(words[0], event -> { });
            retry(() -> writer.create(path, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            OneShot data = new OneShot(path);
            OneShot children = new Children(path);
            for (OneShot watcher : List.of(data, children)) {
                watcher.client = connect(words[0], watcher);
                // The znode may not have come to this server yet.
                retry(() -> { watcher.client.sync("/", (code, where, context) -> { }, null); return watcher.client.exists(path, false); });
                Thread thread = new Thread(watcher::follow);
                thread.setDaemon(true);
                thread.start();
            }
            Thread thread = new Thread(() -> write(writer, path, data, children));
            thread.start();
            writers.add(thread);
        }
        System.out.println("running");
        for (int word = System.in.read(); word >= 0 && word != 's'; word = System.in.read()) {
            if (word == 'c') {
                System.out.println("count " + count);
            }
        }
        stopping = true;
        for (Thread thread : writers) {
            thread.join();
        }
        for (String text : wrong) {
            System.out.println("not ok " + text);
        }
        System.out.println("figures " + count + " writes and creations seen, each by its watcher");
        System.exit(0);
    }
}
