import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/**
 * Two elections, by LeaderLatch and by LeaderSelector, of clients that go on while servers die.
 *
 * <p>What Curator promises is judged twice. Whoever leads gives that up, by its own word, before its znode goes, as long as its
 * session lives; so in this process, with one clock, no term begins before the one before has ended. And the znode by which one
 * leads is a fencing token: each leader writes its czxid into a register, in one transaction with the check that the znode
 * is there, so the register's versions are the order of the leaders' deeds, and tokens must not go back in it.
 */
public final class Leaders {
    private static final int CLIENTS = 3;
    private static final int SESSION_MS = 100_000; // Longer than a machine stands still.
    private static final int CONNECT_MS = 5000;
    private static final int DEEDS_OF_A_TERM = 60;
    private static final long PAUSE_NS = 2_000_000;
    private static final ExecutorService POOL = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    });

    private static final ConcurrentLinkedQueue<String> BROKEN = new ConcurrentLinkedQueue<>();
    private static final AtomicInteger RECONNECTS = new AtomicInteger();

    private static void broken(String what) {
        BROKEN.add(what);
    }

    /** A client, and whether it has noticed more than a reconnect. */
    private static final class Client {
        final String name;
        final CuratorFramework curator;
        final long session;

        Client(String addresses, String name) throws Exception {
            this.name = name;
            curator = CuratorFrameworkFactory.newClient(addresses, SESSION_MS, CONNECT_MS, new RetryForever(20));
            curator.getConnectionStateListenable().addListener((client, state) -> {
                if (state == ConnectionState.RECONNECTED) {
                    RECONNECTS.incrementAndGet();
                } else if (state == ConnectionState.LOST || state == ConnectionState.READ_ONLY) {
                    broken(name + " is told " + state);
                }
            });
            curator.start();
            curator.blockUntilConnected();
            session = curator.getZookeeperClient().getZooKeeper().getSessionId();
        }

        void finish() throws Exception {
            long now = curator.getZookeeperClient().getZooKeeper().getSessionId();
            if (now != session) {
                broken(String.format("%s: session 0x%x became 0x%x", name, session, now));
            }
            curator.close();
        }
    }

    /** Who leads in one election, and what leaders have done. */
    private static final class Election {
        final String path;
        final String register;
        final AtomicReference<String> holder = new AtomicReference<>();
        final Map<Integer, Long> tokens = new ConcurrentSkipListMap<>();
        final AtomicInteger deeds = new AtomicInteger();
        final AtomicInteger terms = new AtomicInteger();

        Election(CuratorFramework curator, String name) throws Exception {
            path = "/" + name;
            register = "/" + name + "-register";
            curator.create().forPath(path);
            curator.create().forPath(register, new byte[0]);
        }

        void enter(String who) {
            String other = holder.getAndSet(who);
            if (other != null) {
                broken(who + " leads " + path + " while " + other + " does");
            }
            terms.incrementAndGet();
        }

        void leave(String who) {
            if (!holder.compareAndSet(who, null)) {
                broken(who + " has led " + path + ", and then " + holder.get() + " did");
            }
        }

        /** What only a leader may do. NoNode: it is none any more. */
        void act(CuratorFramework curator, String znode, long token) throws Exception {
            byte[] data = ByteBuffer.allocate(Long.BYTES).putLong(token).array();
            List<CuratorTransactionResult> results = curator.transaction().forOperations(
                    curator.transactionOp().check().forPath(znode),
                    curator.transactionOp().setData().forPath(register, data));
            if (tokens.put(results.get(1).getResultStat().getVersion(), token) != null) {
                broken(register + " got one version twice");
            }
            deeds.incrementAndGet();
            LockSupport.parkNanos(PAUSE_NS);
        }

        void judge(CuratorFramework curator) throws Exception {
            long latest = 0;
            int version = 0;
            for (Map.Entry<Integer, Long> deed : tokens.entrySet()) {
                version = deed.getKey();
                if (deed.getValue() < latest) {
                    broken(String.format("%s: version %d is of leader 0x%x, behind 0x%x",
                            register, version, deed.getValue(), latest));
                }
                latest = deed.getValue();
            }
            curator.sync().forPath(register);
            Stat stat = new Stat();
            long last = ByteBuffer.wrap(curator.getData().storingStatIn(stat).forPath(register)).getLong();
            if (stat.getVersion() < version || last < latest) {
                broken(String.format("%s: version %d of leader 0x%x, but version %d of 0x%x was acknowledged",
                        register, stat.getVersion(), last, version, latest));
            }
        }
    }

    /** Leads until it is told that it does not. */
    private static final class LatchMember implements LeaderLatchListener {
        final Client client;
        final Election election;
        final LeaderLatch latch;
        final AtomicInteger term = new AtomicInteger(); // Odd: it leads.

        LatchMember(Client client, Election election) throws Exception {
            this.client = client;
            this.election = election;
            latch = new LeaderLatch(client.curator, election.path, client.name);
            latch.addListener(this);
            latch.start();
        }

        @Override
        public void isLeader() {
            election.enter(client.name);
            int number = term.incrementAndGet();
            String znode = latch.getOurPath();
            POOL.execute(() -> lead(number, znode));
        }

        @Override
        public void notLeader() {
            term.incrementAndGet();
            election.leave(client.name);
        }

        void lead(int number, String znode) {
            try {
                Stat stat = new Stat();
                client.curator.getData().storingStatIn(stat).forPath(znode);
                while (term.get() == number) {
                    election.act(client.curator, znode, stat.getCzxid());
                }
            } catch (KeeperException.NoNodeException gone) {
                if (term.get() == number) {
                    broken(client.name + " leads without its znode " + znode);
                }
            } catch (Exception error) {
                if (term.get() == number) {
                    broken(client.name + " cannot act as a leader: " + error);
                }
            }
        }
    }

    /** Leads for some deeds, or until it is interrupted: then it may not be a leader any more. */
    private static final class SelectorMember extends LeaderSelectorListenerAdapter {
        final Client client;
        final Election election;
        final LeaderSelector selector;

        SelectorMember(Client client, Election election) {
            this.client = client;
            this.election = election;
            selector = new LeaderSelector(client.curator, election.path, this);
            selector.setId(client.name);
            selector.autoRequeue();
            selector.start();
        }

        @Override
        public void takeLeadership(CuratorFramework curator) throws Exception {
            election.enter(client.name);
            try {
                String znode = election.path + "/" + first(curator);
                Stat stat = new Stat();
                String owner = new String(curator.getData().storingStatIn(stat).forPath(znode), StandardCharsets.UTF_8);
                if (!owner.equals(client.name)) {
                    broken(client.name + " leads while " + owner + " has " + znode);
                }
                for (int count = 0; count < DEEDS_OF_A_TERM && !Thread.currentThread().isInterrupted(); count++) {
                    election.act(curator, znode, stat.getCzxid());
                }
            } catch (KeeperException.NoNodeException gone) {
                broken(client.name + " leads without its znode: " + gone);
            } catch (KeeperException error) {
                if (!Thread.currentThread().isInterrupted()) {
                    broken(client.name + " cannot act as a leader: " + error);
                }
            } finally {
                election.leave(client.name);
            }
        }

        /** Their names begin with different words, and end with the number of their turn. */
        private String first(CuratorFramework curator) throws Exception {
            return Collections.min(curator.getChildren().forPath(election.path),
                    (one, two) -> turn(one).compareTo(turn(two)));
        }

        private static String turn(String name) {
            return name.substring(name.lastIndexOf('-') + 1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Client judge = new Client(arguments[0], "judge");
        Election latches = new Election(judge.curator, "latch");
        Election selectors = new Election(judge.curator, "selector");
        List<Client> clients = new ArrayList<>();
        List<LatchMember> latchMembers = new ArrayList<>();
        List<SelectorMember> selectorMembers = new ArrayList<>();
        for (int index = 0; index < CLIENTS; index++) {
            clients.add(new Client(arguments[0], "latch-" + index));
            latchMembers.add(new LatchMember(clients.get(clients.size() - 1), latches));
            clients.add(new Client(arguments[0], "selector-" + index));
            selectorMembers.add(new SelectorMember(clients.get(clients.size() - 1), selectors));
        }
        System.out.println("running");
        BufferedReader words = new BufferedReader(new InputStreamReader(System.in));
        for (String word = words.readLine(); word != null && !word.equals("stop"); word = words.readLine()) {
            System.out.println("count " + Math.min(latches.deeds.get(), selectors.deeds.get()));
        }
        for (LatchMember member : latchMembers) {
            member.latch.close(LeaderLatch.CloseMode.NOTIFY_LEADER);
        }
        for (SelectorMember member : selectorMembers) {
            member.selector.close();
        }
        latches.judge(judge.curator);
        selectors.judge(judge.curator);
        for (Client client : clients) {
            client.finish();
        }
        judge.finish();
        for (String what : BROKEN) {
            System.out.println("not ok " + what);
        }
        System.out.printf("figures %d clients reconnected %d times; latch: %d terms, %d deeds; selector: %d terms, %d deeds%n",
                clients.size() + 1, RECONNECTS.get(), latches.terms.get(), latches.deeds.get(), selectors.terms.get(),
                selectors.deeds.get());
        System.exit(0);
    }
}
