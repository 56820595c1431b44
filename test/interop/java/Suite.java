import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs somebody's JUnit classes: Suite RESULTS SKIPS. Each line of its input names one; it says when that is done.
 *
 * <p>SKIPS names methods that are not run, CLASS#METHOD on a line each. RESULTS gets a line for each method that there is
 * and for each test that ran: a word (known, pass, fail, skip), CLASS#METHOD, and what was wrong, with tabs between them.
 */
public final class Suite {
    private static final int DETAIL_MAX = 300;

    private final PrintWriter results;

    private Suite(PrintWriter results) {
        this.results = results;
    }

    public static void main(String[] arguments) throws Exception {
        Set<String> skips = new HashSet<>(Files.readAllLines(Path.of(arguments[1])));
        BufferedReader classes = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (PrintWriter results = new PrintWriter(Files.newBufferedWriter(Path.of(arguments[0])))) {
            Suite suite = new Suite(results);
            for (String name = classes.readLine(); name != null; name = classes.readLine()) {
                suite.run(name, skips);
                System.out.println("\nsuite: " + name + " is done");
            }
        }
        System.exit(0); // Some tests leave threads behind.
    }

    private void run(String type, Set<String> skips) {
        PostDiscoveryFilter filter = test -> {
            String name = name(test.getSource());
            if (test.getSource().orElse(null) instanceof MethodSource) {
                say("known", name, "");
            }
            return FilterResult.includedIf(!skips.contains(name));
        };
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(selectClass(type))
                .filters(filter)
                .configurationParameter("junit.jupiter.execution.timeout.testable.method.default", "300 s")
                .build();
        LauncherFactory.create().execute(request, new Listener());
    }

    private static String name(Optional<TestSource> source) {
        if (source.orElse(null) instanceof MethodSource method) {
            return method.getClassName() + "#" + method.getMethodName();
        }
        return source.orElse(null) instanceof ClassSource type ? type.getClassName() : "?";
    }

    private synchronized void say(String word, String name, String detail) {
        String line = detail.replaceAll("\\s+", " ");
        results.println(word + "\t" + name + "\t" + line.substring(0, Math.min(line.length(), DETAIL_MAX)));
        results.flush();
    }

    private final class Listener implements TestExecutionListener {
        private long began;

        @Override
        public void executionStarted(TestIdentifier test) {
            began = System.nanoTime();
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            say("skip", name(test.getSource()), reason);
        }

        /** A test ends; or a class or an engine, which matters when it failed. */
        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            boolean passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            if (test.isTest() || !passed) {
                result.getThrowable().ifPresent(error -> {
                    System.out.println("FAILED " + test.getUniqueId());
                    error.printStackTrace(System.out);
                });
                say(passed ? "pass" : "fail", name(test.getSource()),
                        test.getDisplayName() + " " + (System.nanoTime() - began) / 1000000 + " ms" + result.getThrowable().map(error -> ": " + error).orElse(""));
            }
        }
    }
}
