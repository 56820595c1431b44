package org.apache.curator.test;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Stands where Curator's tests have their own class of this name: the same members, but the server is a program.
 *
 * <p>It is the one that the property interop.server names, with the settings that Curator gives to Apache's. What that one
 * reads from the system properties of its JVM becomes a key of the zoo.cfg. Curator's TestingServer, and its
 * TestingCluster of one, are made of this class.
 *
 * <p>The port is the server's from the first start to the end, also while it is stopped: other JVMs take free ports meanwhile,
 * and the client would find somebody else's server there. What holds it is a socket that is bound and does not listen; the
 * system gives such a port to nobody who asks for any, and the server may bind it.
 */
public class TestingZooKeeperServer implements Closeable {
    private static final long WAIT_MS = 120000;
    private static final String[] PROPERTIES = {
        "zookeeper.extendedTypesEnabled",
        "zookeeper.DigestAuthenticationProvider.superDigest",
        "znode.container.checkIntervalMs"
    };

    private enum State {
        LATENT,
        STARTED,
        STOPPED,
        CLOSED
    }

    private final QuorumConfigBuilder builder;
    private final int index;
    private int port;
    private State state = State.LATENT;
    private Process server;
    private SocketChannel held;

    public TestingZooKeeperServer(QuorumConfigBuilder builder) {
        this(builder, 0);
    }

    public TestingZooKeeperServer(QuorumConfigBuilder builder, int index) {
        this.builder = builder;
        this.index = index;
        this.port = getInstanceSpec().getPort();
    }

    public Collection<InstanceSpec> getInstanceSpecs() {
        return builder.getInstanceSpecs();
    }

    public InstanceSpec getInstanceSpec() {
        return builder.getInstanceSpec(index);
    }

    public int getLocalPort() {
        if (port == 0) {
            throw new IllegalStateException("the server has no port before it is started");
        }
        return port;
    }

    /** Nothing happens when it was started before; Curator's tests know that. */
    public synchronized void start() throws Exception {
        if (state != State.LATENT) {
            return;
        }
        state = State.STARTED;
        if (port == 0) {
            port = InstanceSpec.getRandomPort();
        }
        if (held == null) {
            held = SocketChannel.open().setOption(StandardSocketOptions.SO_REUSEADDR, true);
            held.bind(new InetSocketAddress("127.0.0.1", port));
        }
        Path config = getInstanceSpec().getDataDirectory().toPath().resolve("zoo.cfg");
        Files.createDirectories(config.getParent());
        Files.write(config, settings().entrySet().stream().map(row -> row.getKey() + "=" + row.getValue()).toList());
        server = new ProcessBuilder(System.getProperty("interop.server"), "keeper", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(new File(System.getProperty("interop.output"))))
                .start();
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WAIT_MS);
        while (!answers()) {
            if (!server.isAlive() || System.nanoTime() > until) {
                throw new FailedServerStartException("no answer on port " + port);
            }
            Thread.sleep(10);
        }
    }

    private boolean answers() {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            socket.getOutputStream().write("srvr".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).contains("Mode:");
        } catch (IOException refused) {
            return false;
        }
    }

    private Map<String, String> settings() throws Exception {
        Map<String, String> settings = new TreeMap<>();
        settings.put("clientPortAddress", "127.0.0.1");
        settings.put("admin.enableServer", "false");
        settings.put("preAllocSize", "100");
        for (String name : PROPERTIES) {
            if (System.getProperty(name) != null) {
                settings.put(name, System.getProperty(name));
            }
        }
        builder.buildConfigProperties(index, port)
                .forEach((name, value) -> settings.put(name.toString(), value.toString()));
        return settings;
    }

    public synchronized void stop() throws IOException {
        if (state == State.STARTED) {
            state = State.STOPPED;
            server.destroy();
            awaitEnd();
        }
    }

    /** The server gets no time to do anything more. */
    public synchronized void kill() {
        if (server != null) {
            server.destroyForcibly();
            try {
                awaitEnd();
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
        state = State.STOPPED;
    }

    private void awaitEnd() throws IOException {
        try {
            if (!server.waitFor(WAIT_MS, TimeUnit.MILLISECONDS)) {
                throw new IOException("the server does not end when told to");
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new IOException(interrupted);
        }
        server = null;
    }

    public synchronized void restart() throws Exception {
        if (state == State.CLOSED) {
            throw new IllegalStateException("the data of a closed server is gone");
        }
        stop();
        state = State.LATENT;
        start();
    }

    @Override
    public synchronized void close() throws IOException {
        stop();
        if (state == State.STOPPED) {
            state = State.CLOSED;
            held.close();
            builder.close();
            if (getInstanceSpec().deleteDataDirectoryOnClose()) {
                DirectoryUtils.deleteRecursively(getInstanceSpec().getDataDirectory());
            }
        }
    }
}
