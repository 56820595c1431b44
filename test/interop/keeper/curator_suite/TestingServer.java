package org.apache.curator.test;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Stands where Curator's tests have their own class of this name: the same members, but the server is a program.
 *
 * <p>It is the one that the property interop.server names. What Apache's server reads from the system properties of its
 * JVM becomes a key of its zoo.cfg.
 */
public class TestingServer implements Closeable {
    private static final long WAIT_MS = 30000;
    private static final String[] PROPERTIES = {
        "zookeeper.extendedTypesEnabled",
        "zookeeper.DigestAuthenticationProvider.superDigest",
        "znode.container.checkIntervalMs"
    };

    private final InstanceSpec spec;
    private Process server;
    private boolean closed;

    public TestingServer() throws Exception {
        this(-1, null, true);
    }

    public TestingServer(boolean start) throws Exception {
        this(-1, null, start);
    }

    public TestingServer(int port) throws Exception {
        this(port, null, true);
    }

    public TestingServer(int port, boolean start) throws Exception {
        this(port, null, start);
    }

    public TestingServer(int port, File directory) throws Exception {
        this(port, directory, true);
    }

    public TestingServer(int port, File directory, boolean start) throws Exception {
        this(new InstanceSpec(directory, port, -1, -1, true, -1), start);
    }

    public TestingServer(InstanceSpec spec, boolean start) throws Exception {
        this.spec = spec;
        if (start) {
            start();
        }
    }

    public int getPort() {
        return spec.getPort();
    }

    public File getTempDirectory() {
        return spec.getDataDirectory();
    }

    public String getConnectString() {
        return spec.getConnectString();
    }

    public void start() throws Exception {
        if (closed || server != null) {
            throw new IllegalStateException("the server is closed or runs already");
        }
        Path config = spec.getDataDirectory().toPath().resolve("zoo.cfg");
        Files.createDirectories(config.getParent());
        Files.write(config, settings().entrySet().stream().map(row -> row.getKey() + "=" + row.getValue()).toList());
        server = new ProcessBuilder(System.getProperty("interop.server"), "keeper", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(new File(System.getProperty("interop.output"))))
                .start();
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WAIT_MS);
        while (!answers()) {
            if (!server.isAlive() || System.nanoTime() > until) {
                throw new IllegalStateException("no answer on " + getConnectString());
            }
            Thread.sleep(10);
        }
    }

    private boolean answers() {
        try (Socket socket = new Socket("127.0.0.1", getPort())) {
            socket.getOutputStream().write("srvr".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).contains("Mode:");
        } catch (IOException refused) {
            return false;
        }
    }

    private Map<String, String> settings() {
        Map<String, String> settings = new TreeMap<>();
        settings.put("dataDir", spec.getDataDirectory().getPath());
        settings.put("clientPort", Integer.toString(spec.getPort()));
        settings.put("clientPortAddress", "127.0.0.1");
        settings.put("admin.enableServer", "false");
        settings.put("preAllocSize", "100");
        if (spec.getTickTime() > 0) {
            settings.put("tickTime", Integer.toString(spec.getTickTime()));
        }
        if (spec.getMaxClientCnxns() >= 0) {
            settings.put("maxClientCnxns", Integer.toString(spec.getMaxClientCnxns()));
        }
        for (String name : PROPERTIES) {
            if (System.getProperty(name) != null) {
                settings.put(name, System.getProperty(name));
            }
        }
        spec.getCustomProperties().forEach((name, value) -> settings.put(name, value.toString()));
        return settings;
    }

    public void stop() throws IOException {
        if (server == null) {
            return;
        }
        server.destroy();
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

    public void restart() throws Exception {
        stop();
        start();
    }

    @Override
    public void close() throws IOException {
        stop();
        if (!closed && spec.deleteDataDirectoryOnClose()) {
            DirectoryUtils.deleteRecursively(spec.getDataDirectory());
        }
        closed = true;
    }
}
