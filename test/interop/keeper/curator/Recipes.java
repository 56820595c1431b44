import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.CreateMode;

/** Curator's recipes: one check a line, `ok WHAT` or `not ok WHAT: detail`. */
public final class Recipes {
    private static final int WAIT_S = 120;
    private static final int SESSION_MS = 300_000; // Longer than a machine stands still.
    private static final int CONNECT_MS = 100_000;
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));
    private static final ExecutorService POOL = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    });

    private static CuratorFramework one;
    private static CuratorFramework two;

    interface Body {
        void run() throws Exception;
    }

    private static void test(String name, Body body) {
        try {
            Future<?> done = POOL.submit((Callable<Object>) () -> {
                body.run();
                return null;
            });
            done.get(2 * WAIT_S, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (Throwable error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            StackTraceElement at = Arrays.stream(cause.getStackTrace())
                .filter(e -> e.getClassName().startsWith("Recipes")).findFirst().orElse(null);
            System.out.println("not ok " + name + ": " + cause + " at line " + (at == null ? "?" : at.getLineNumber()));
        }
        System.out.flush();
    }

    private static void isTrue(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
        while (!condition.call()) {
            isTrue(System.nanoTime() < until, what);
            Thread.sleep(20);
        }
    }

    private static CuratorFramework connect(String address) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(address, SESSION_MS, CONNECT_MS, new RetryForever(200));
        client.start();
        isTrue(client.blockUntilConnected(WAIT_S, TimeUnit.SECONDS), "not connected");
        return client;
    }

    private static void locks() {
        test("lock: excludes, is reentrant, is handed over", () -> {
            InterProcessMutex mine = new InterProcessMutex(one, "/lock");
            InterProcessMutex theirs = new InterProcessMutex(two, "/lock");
            mine.acquire();
            mine.acquire();
            isTrue(!theirs.acquire(200, TimeUnit.MILLISECONDS), "two owners");
            Future<Boolean> waiter = POOL.submit(() -> {
                boolean got = theirs.acquire(WAIT_S, TimeUnit.SECONDS);
                theirs.release();
                return got;
            });
            eventually("a second participant", () -> mine.getParticipantNodes().size() == 2);
            mine.release();
            mine.release();
            isTrue(waiter.get(), "not handed over");
        });
        test("lock: fifty rounds by four threads of two clients", () -> {
            AtomicInteger inside = new AtomicInteger();
            AtomicInteger rounds = new AtomicInteger();
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                InterProcessMutex mutex = new InterProcessMutex(i % 2 == 0 ? one : two, "/rounds");
                all.add(POOL.submit((Callable<Object>) () -> {
                    for (int n = 0; n < 50; n++) {
                        mutex.acquire();
                        isTrue(inside.incrementAndGet() == 1, "two inside");
                        rounds.incrementAndGet();
                        inside.decrementAndGet();
                        mutex.release();
                    }
                    return null;
                }));
            }
            for (Future<?> each : all) {
                each.get();
            }
            isTrue(rounds.get() == 200, "rounds " + rounds);
        });
        test("lock: read and write", () -> {
            InterProcessReadWriteLock mine = new InterProcessReadWriteLock(one, "/rw");
            InterProcessReadWriteLock theirs = new InterProcessReadWriteLock(two, "/rw");
            mine.readLock().acquire();
            isTrue(theirs.readLock().acquire(WAIT_S, TimeUnit.SECONDS), "two readers");
            isTrue(!theirs.writeLock().acquire(200, TimeUnit.MILLISECONDS), "a writer beside readers");
            mine.readLock().release();
            theirs.readLock().release();
            isTrue(theirs.writeLock().acquire(WAIT_S, TimeUnit.SECONDS), "a writer alone");
            theirs.writeLock().release();
        });
        test("lock: not reentrant, and several at once", () -> {
            InterProcessSemaphoreMutex single = new InterProcessSemaphoreMutex(one, "/single");
            single.acquire();
            isTrue(!new InterProcessSemaphoreMutex(two, "/single").acquire(200, TimeUnit.MILLISECONDS), "two owners");
            single.release();
            InterProcessMultiLock both = new InterProcessMultiLock(one, List.of("/multi1", "/multi2"));
            isTrue(both.acquire(WAIT_S, TimeUnit.SECONDS), "both");
            both.release();
        });
        test("semaphore: three leases for four", () -> {
            InterProcessSemaphoreV2 mine = new InterProcessSemaphoreV2(one, "/semaphore", 3);
            InterProcessSemaphoreV2 theirs = new InterProcessSemaphoreV2(two, "/semaphore", 3);
            Collection<Lease> leases = mine.acquire(3);
            isTrue(theirs.acquire(200, TimeUnit.MILLISECONDS) == null, "a fourth lease");
            mine.returnLease(leases.iterator().next());
            Lease lease = theirs.acquire(WAIT_S, TimeUnit.SECONDS);
            isTrue(lease != null, "no lease after a return");
            theirs.returnLease(lease);
        });
    }

    private static void leaders() {
        test("leader latch: one leads, the other follows when it closes", () -> {
            LeaderLatch first = new LeaderLatch(one, "/latch", "first");
            LeaderLatch second = new LeaderLatch(two, "/latch", "second");
            first.start();
            isTrue(first.await(WAIT_S, TimeUnit.SECONDS), "no leader");
            second.start();
            eventually("two participants", () -> second.getParticipants().size() == 2);
            isTrue(!second.hasLeadership() && second.getLeader().getId().equals("first"), "two leaders");
            first.close();
            isTrue(second.await(WAIT_S, TimeUnit.SECONDS), "no new leader");
            second.close();
        });
        test("leader selector: each in turn", () -> {
            LinkedBlockingQueue<String> led = new LinkedBlockingQueue<>();
            List<LeaderSelector> selectors = new ArrayList<>();
            for (CuratorFramework client : List.of(one, two)) {
                LeaderSelector selector = new LeaderSelector(client, "/selector", new LeaderSelectorListenerAdapter() {
                    @Override
                    public void takeLeadership(CuratorFramework leader) {
                        led.add(leader == one ? "one" : "two");
                    }
                });
                selectors.add(selector);
                selector.start();
            }
            List<String> order = new ArrayList<>(List.of(led.poll(WAIT_S, TimeUnit.SECONDS),
                led.poll(WAIT_S, TimeUnit.SECONDS)));
            Collections.sort(order);
            isTrue(order.equals(List.of("one", "two")), "led: " + order);
            selectors.forEach(LeaderSelector::close);
        });
    }

    private static void barriers() {
        test("barrier", () -> {
            DistributedBarrier mine = new DistributedBarrier(one, "/barrier");
            mine.setBarrier();
            Future<Boolean> waiter = POOL.submit(
                () -> new DistributedBarrier(two, "/barrier").waitOnBarrier(WAIT_S, TimeUnit.SECONDS));
            Thread.sleep(50);
            isTrue(!waiter.isDone(), "no barrier");
            mine.removeBarrier();
            isTrue(waiter.get(), "the barrier stays");
        });
        test("double barrier", () -> {
            List<Future<Boolean>> both = new ArrayList<>();
            for (CuratorFramework client : List.of(one, two)) {
                both.add(POOL.submit(() -> {
                    DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, "/double", 2);
                    return barrier.enter(WAIT_S, TimeUnit.SECONDS) && barrier.leave(WAIT_S, TimeUnit.SECONDS);
                }));
            }
            for (Future<Boolean> each : both) {
                isTrue(each.get(), "not through");
            }
        });
    }

    private static final class Text implements QueueSerializer<String> {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }

    private static final class Taker implements QueueConsumer<String> {
        final LinkedBlockingQueue<String> taken = new LinkedBlockingQueue<>();

        @Override
        public void consumeMessage(String message) {
            taken.add(message);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
        }
    }

    private static void queues() {
        test("queue: a hundred items in order", () -> {
            Taker taker = new Taker();
            DistributedQueue<String> in = QueueBuilder.builder(one, (QueueConsumer<String>) null, new Text(), "/queue")
                .buildQueue();
            DistributedQueue<String> out = QueueBuilder.builder(two, taker, new Text(), "/queue").buildQueue();
            in.start();
            for (int i = 0; i < 100; i++) {
                in.put("item-" + i);
            }
            isTrue(in.flushPuts(WAIT_S, TimeUnit.SECONDS), "not flushed");
            out.start();
            for (int i = 0; i < 100; i++) {
                String item = taker.taken.poll(WAIT_S, TimeUnit.SECONDS);
                isTrue(("item-" + i).equals(item), "at " + i + ": " + item);
            }
            in.close();
            out.close();
        });
        test("queue: simple", () -> {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(one, "/simple");
            Future<byte[]> taken = POOL.submit(() -> new SimpleDistributedQueue(two, "/simple").take());
            queue.offer("x".getBytes());
            isTrue(new String(taken.get()).equals("x"), "other bytes");
            isTrue(queue.poll() == null, "not empty");
        });
    }

    private static void values() {
        test("atomic long: two hundred increments by two", () -> {
            List<Future<?>> all = new ArrayList<>();
            for (CuratorFramework client : List.of(one, two)) {
                all.add(POOL.submit((Callable<Object>) () -> {
                    DistributedAtomicLong counter = new DistributedAtomicLong(client, "/long", new RetryForever(5));
                    for (int i = 0; i < 100; i++) {
                        AtomicValue<Long> value = counter.increment();
                        isTrue(value.succeeded(), "not incremented");
                    }
                    return null;
                }));
            }
            for (Future<?> each : all) {
                each.get();
            }
            long seen = new DistributedAtomicLong(one, "/long", new RetryForever(5)).get().postValue();
            isTrue(seen == 200, "counted " + seen);
        });
        test("shared count", () -> {
            SharedCount mine = new SharedCount(one, "/count", 5);
            SharedCount theirs = new SharedCount(two, "/count", 5);
            mine.start();
            theirs.start();
            isTrue(mine.trySetCount(mine.getVersionedValue(), 6), "not set");
            eventually("the other sees 6", () -> theirs.getCount() == 6);
            mine.close();
            theirs.close();
        });
        test("transaction", () -> {
            one.create().forPath("/transaction", "0".getBytes());
            isTrue(one.transaction().forOperations(
                one.transactionOp().check().withVersion(0).forPath("/transaction"),
                one.transactionOp().create().withMode(CreateMode.PERSISTENT).forPath("/transaction/a", "1".getBytes()),
                one.transactionOp().setData().forPath("/transaction", "2".getBytes()),
                one.transactionOp().delete().forPath("/transaction/a")).size() == 4, "results");
            isTrue(new String(two.getData().forPath("/transaction")).equals("2"), "data");
        });
        test("persistent node and group member", () -> {
            PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/node", "n".getBytes());
            node.start();
            isTrue(node.waitForInitialCreate(WAIT_S, TimeUnit.SECONDS), "not made");
            two.delete().forPath("/node");
            eventually("made again", () -> two.checkExists().forPath("/node") != null);
            node.close();
            GroupMember member = new GroupMember(one, "/members", "one");
            GroupMember other = new GroupMember(two, "/members", "two");
            member.start();
            other.start();
            eventually("two members", () -> member.getCurrentMembers().size() == 2);
            member.close();
            other.close();
        });
    }

    private static void caches() {
        test("path children cache", () -> {
            one.create().creatingParentsIfNeeded().forPath("/children/a", "1".getBytes());
            PathChildrenCache cache = new PathChildrenCache(two, "/children", true);
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            isTrue(cache.getCurrentData().size() == 1, "not filled");
            one.create().forPath("/children/b", "2".getBytes());
            eventually("grown", () -> cache.getCurrentData("/children/b") != null);
            one.setData().forPath("/children/b", "3".getBytes());
            eventually("changed", () -> new String(cache.getCurrentData("/children/b").getData()).equals("3"));
            one.delete().forPath("/children/a");
            eventually("shrunk", () -> cache.getCurrentData().size() == 1);
            cache.close();
        });
        test("tree cache", () -> {
            TreeCache cache = new TreeCache(two, "/children");
            cache.start();
            one.create().creatingParentsIfNeeded().forPath("/children/x/y/z", "deep".getBytes());
            eventually("grown", () -> cache.getCurrentData("/children/x/y/z") != null);
            one.delete().deletingChildrenIfNeeded().forPath("/children/x");
            eventually("shrunk", () -> cache.getCurrentData("/children/x") == null);
            cache.close();
        });
        test("cache by a recursive watch", () -> {
            CuratorCache cache = CuratorCache.build(two, "/children");
            cache.start();
            one.create().creatingParentsIfNeeded().forPath("/children/p/q", "deep".getBytes());
            eventually("grown", () -> cache.get("/children/p/q").isPresent());
            one.setData().forPath("/children/p/q", "new".getBytes());
            eventually("changed", () -> new String(cache.get("/children/p/q").get().getData()).equals("new"));
            cache.close();
        });
    }

    private static void restart() {
        test("restart: lock and leadership are found again", () -> {
            InterProcessMutex held = new InterProcessMutex(one, "/held");
            held.acquire();
            LeaderLatch latch = new LeaderLatch(one, "/held-latch", "one");
            latch.start();
            isTrue(latch.await(WAIT_S, TimeUnit.SECONDS), "no leader");
            LinkedBlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
            one.getConnectionStateListenable().addListener((client, state) -> states.add(state));
            long session = one.getZookeeperClient().getZooKeeper().getSessionId();
            System.out.println("ask restart");
            System.out.flush();
            IN.readLine();
            isTrue(states.poll(WAIT_S, TimeUnit.SECONDS) == ConnectionState.SUSPENDED, "not suspended");
            isTrue(states.poll(WAIT_S, TimeUnit.SECONDS) == ConnectionState.RECONNECTED, "not reconnected");
            isTrue(session == one.getZookeeperClient().getZooKeeper().getSessionId(), "another session");
            isTrue(!new InterProcessMutex(two, "/held").acquire(500, TimeUnit.MILLISECONDS), "two owners");
            isTrue(latch.await(WAIT_S, TimeUnit.SECONDS), "leadership is not taken up again");
            held.release();
            isTrue(new InterProcessMutex(two, "/held").acquire(WAIT_S, TimeUnit.SECONDS), "never released");
            latch.close();
        });
    }

    public static void main(String[] arguments) throws Exception {
        one = connect(arguments[0]);
        two = connect(arguments[0]);
        locks();
        leaders();
        barriers();
        queues();
        values();
        caches();
        restart();
        one.close();
        two.close();
        System.exit(0);
    }
}
