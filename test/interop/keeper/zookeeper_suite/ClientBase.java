package org.apache.zookeeper.test;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.File;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.zookeeper.PortAssignment;
import org.apache.zookeeper.TestableZooKeeper;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZKTestCase;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stands where Apache's tests have their own class of this name: the same members, but the server is a program.
 *
 * <p>It is the one that the property interop.server names, started for each test with a zoo.cfg of its own. What Apache's
 * server reads from the system properties of its JVM becomes a key of that file.
 */
public abstract class ClientBase extends ZKTestCase {
    protected static final Logger LOG = LoggerFactory.getLogger(ClientBase.class);

    public static int CONNECTION_TIMEOUT = 30000;

    /** What must come may take so many times as long as a test says: a machine may stand still for longer. */
    private static final int PATIENCE = 4;

    private static final String PREFIX = "zookeeper.";

    /** System properties that are not the server's. */
    private static final List<String> CLIENT_PROPERTIES =
            List.of("zookeeper.request.timeout", "zookeeper.disableAutoWatchReset", "zookeeper.junit.threadid",
                    "zookeeper.admin.rateLimiterIntervalInMS");

    /** System properties of the server without that prefix. */
    private static final List<String> SERVER_PROPERTIES = List.of("jute.maxbuffer", "readonlymode.enabled");

    protected String hostPort = "127.0.0.1:" + PortAssignment.unique();
    protected int maxCnxns = 0;
    protected ServerCnxnFactory serverFactory = null; // There is no server in this JVM.
    protected File tmpDir = null;
    protected boolean exceptionOnFailedConnect = false;

    private final List<ZooKeeper> clients = new ArrayList<>();
    private Process server;

    // Before and after a test.

    @BeforeEach
    public void setUp() throws Exception {
        setUpWithServerId(1);
    }

    protected void setUpWithServerId(int serverId) throws Exception {
        setupTestEnv();
        setUpAll();
        setupCustomizedEnv();
        tmpDir = createTmpDir();
        startServer();
    }

    @AfterEach
    public void tearDown() throws Exception {
        tearDownAll();
        stopServer();
        if (tmpDir != null) {
            assertTrue(recursiveDelete(tmpDir), "the server's directory is deleted");
        }
        cleanUpCustomizedEnv();
    }

    protected void setUpAll() throws Exception {}

    protected void tearDownAll() throws Exception {
        for (ZooKeeper client : clients) {
            client.close();
        }
        clients.clear();
    }

    public void setupCustomizedEnv() {}

    public void cleanUpCustomizedEnv() {}

    public static void setupTestEnv() {}

    // The server.

    protected void startServer() throws Exception {
        assertNull(server, "one server at a time");
        Path config = tmpDir.toPath().resolve("zoo.cfg");
        Files.write(config, settings().entrySet().stream().map(row -> row.getKey() + "=" + row.getValue()).toList());
        server = new ProcessBuilder(System.getProperty("interop.server"), "keeper", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(new File(System.getProperty("interop.output"))))
                .start();
        assertTrue(waitForServerUp(hostPort, CONNECTION_TIMEOUT), "the server answers on " + hostPort);
    }

    protected void stopServer() throws Exception {
        if (server != null) {
            server.destroy();
            assertTrue(server.waitFor(PATIENCE * CONNECTION_TIMEOUT, TimeUnit.MILLISECONDS), "the server ends when told to");
            server = null;
        }
    }

    private Map<String, String> settings() {
        Map<String, String> settings = new TreeMap<>();
        settings.put("tickTime", "3000");
        settings.put("dataDir", tmpDir.getPath());
        settings.put("clientPort", Integer.toString(parseHostPortList(hostPort).get(0).port));
        settings.put("clientPortAddress", "127.0.0.1");
        settings.put("maxClientCnxns", Integer.toString(maxCnxns));
        settings.put("admin.enableServer", "false");
        settings.put("preAllocSize", "100");
        for (String name : System.getProperties().stringPropertyNames()) {
            if (name.startsWith(PREFIX) && !CLIENT_PROPERTIES.contains(name)) {
                settings.put(name.substring(PREFIX.length()), System.getProperty(name));
            } else if (SERVER_PROPERTIES.contains(name) || name.startsWith("znode.container.")) {
                settings.put(name, System.getProperty(name));
            }
        }
        return settings;
    }

    // Waiting for servers.

    public static class HostPort {
        String host;
        int port;

        public HostPort(String host, int port) {
            this.host = host;
            this.port = port;
        }
    }

    /** A chroot may stand behind the addresses. */
    public static List<HostPort> parseHostPortList(String list) {
        List<HostPort> found = new ArrayList<>();
        for (String entry : list.split("/")[0].split(",")) {
            int colon = entry.lastIndexOf(':');
            found.add(new HostPort(entry.substring(0, colon), Integer.parseInt(entry.substring(colon + 1))));
        }
        return found;
    }

    public static boolean waitForServerUp(String list, long timeout) {
        return holdsWithin(timeout, () -> parseHostPortList(list).stream().allMatch(ClientBase::isUp));
    }

    public static boolean waitForServerDown(String list, long timeout) {
        return holdsWithin(timeout, () -> parseHostPortList(list).stream().noneMatch(ClientBase::isReachable));
    }

    private static boolean holdsWithin(long timeout, BooleanSupplier condition) {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE * timeout);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > until) {
                return false;
            }
            try {
                Thread.sleep(10);
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
        return true;
    }

    private static boolean isUp(HostPort at) {
        try {
            String answer = FourLetterWordMain.send4LetterWord(at.host, at.port, "srvr");
            return answer.contains("Mode:") || answer.contains("not in the whitelist");
        } catch (Exception refused) {
            return false;
        }
    }

    private static boolean isReachable(HostPort at) {
        try {
            FourLetterWordMain.send4LetterWord(at.host, at.port, "srvr");
            return true;
        } catch (Exception refused) {
            return false;
        }
    }

    static void verifyThreadTerminated(Thread thread, long timeout) throws InterruptedException {
        thread.join(timeout);
        assertFalse(thread.isAlive(), thread.getName() + " has ended");
    }

    // Clients.

    protected TestableZooKeeper createClient() throws IOException, InterruptedException {
        return createClient(hostPort);
    }

    protected TestableZooKeeper createClient(String hosts) throws IOException, InterruptedException {
        return createClient(new CountdownWatcher(), hosts);
    }

    protected TestableZooKeeper createClient(String hosts, int timeout) throws IOException, InterruptedException {
        return createClient(new CountdownWatcher(), hosts, timeout);
    }

    protected TestableZooKeeper createClient(CountdownWatcher watcher) throws IOException, InterruptedException {
        return createClient(watcher, hostPort);
    }

    protected TestableZooKeeper createClient(CountdownWatcher watcher, String hosts)
            throws IOException, InterruptedException {
        return createClient(watcher, hosts, CONNECTION_TIMEOUT);
    }

    protected TestableZooKeeper createClient(CountdownWatcher watcher, String hosts, int timeout)
            throws IOException, InterruptedException {
        watcher.reset();
        TestableZooKeeper client = new TestableZooKeeper(hosts, timeout, watcher);
        synchronized (clients) {
            clients.add(client);
        }
        int patience = exceptionOnFailedConnect ? 1 : PATIENCE; // Who asks for the exception counts on none.
        if (!watcher.clientConnected.await(patience * timeout, TimeUnit.MILLISECONDS)) {
            if (exceptionOnFailedConnect) {
                throw new ProtocolException("not connected to " + hosts);
            }
            fail("not connected to " + hosts);
        }
        return client;
    }

    public static ZooKeeper createZKClient(String hosts) throws Exception {
        return createZKClient(hosts, CONNECTION_TIMEOUT);
    }

    public static ZooKeeper createZKClient(String hosts, int timeout) throws IOException {
        return createZKClient(hosts, timeout, CONNECTION_TIMEOUT);
    }

    public static ZooKeeper createZKClient(String hosts, int timeout, long wait) throws IOException {
        return createZKClient(hosts, timeout, wait, new ZKClientConfig());
    }

    public static ZooKeeper createZKClient(String hosts, int timeout, long wait, ZKClientConfig config)
            throws IOException {
        CountdownWatcher watcher = new CountdownWatcher();
        ZooKeeper client = new ZooKeeper(hosts, timeout, watcher, config);
        try {
            watcher.waitForConnected(PATIENCE * wait);
        } catch (InterruptedException | TimeoutException error) {
            fail("not connected to " + hosts + ": " + error);
        }
        return client;
    }

    protected static String getHexSessionId(long sessionId) {
        return "0x" + Long.toHexString(sessionId);
    }

    /** Knows whether its client is connected, and lets others wait for that. */
    public static class CountdownWatcher implements Watcher {
        volatile CountDownLatch clientConnected;
        volatile boolean connected;
        volatile boolean syncConnected;
        volatile boolean readOnlyConnected;

        public CountdownWatcher() {
            reset();
        }

        public synchronized void reset() {
            clientConnected = new CountDownLatch(1);
            become(null);
        }

        private void become(KeeperState state) {
            syncConnected = state == KeeperState.SyncConnected;
            readOnlyConnected = state == KeeperState.ConnectedReadOnly;
            connected = syncConnected || readOnlyConnected;
        }

        @Override
        public synchronized void process(WatchedEvent event) {
            become(event.getState());
            if (connected) {
                clientConnected.countDown();
            }
            notifyAll();
        }

        public synchronized boolean isConnected() {
            return connected;
        }

        protected synchronized String connectionDescription() {
            return "connected: " + connected + ", for writes: " + syncConnected + ", read only: " + readOnlyConnected;
        }

        public synchronized void waitForConnected(long timeout) throws InterruptedException, TimeoutException {
            waitFor(timeout, () -> connected);
        }

        public synchronized void waitForSyncConnected(long timeout) throws InterruptedException, TimeoutException {
            waitFor(timeout, () -> syncConnected);
        }

        public synchronized void waitForReadOnlyConnected(long timeout)
                throws InterruptedException, TimeoutException {
            waitFor(timeout, () -> readOnlyConnected);
        }

        public synchronized void waitForDisconnected(long timeout) throws InterruptedException, TimeoutException {
            waitFor(timeout, () -> !connected);
        }

        private void waitFor(long timeout, BooleanSupplier condition) throws InterruptedException, TimeoutException {
            long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeout);
            while (!condition.getAsBoolean()) {
                long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
                if (left <= 0) {
                    throw new TimeoutException("after " + timeout + " ms: " + connectionDescription());
                }
                wait(left);
            }
        }
    }

    // Directories.

    public static File createTmpDir() throws IOException {
        return Files.createTempDirectory(testBaseDir.toPath(), "test").toFile();
    }

    public static File createEmptyTestDir() throws IOException {
        return createTmpDir();
    }

    public static boolean recursiveDelete(File directory) {
        if (!directory.exists()) {
            return true;
        }
        try (Stream<Path> found = Files.walk(directory.toPath())) {
            found.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        } catch (IOException error) {
            LOG.warn("{} is not deleted", directory, error);
        }
        return !directory.exists();
    }
}
