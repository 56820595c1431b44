import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.platform.engine.DiscoverySelector;
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
 * Runs somebody's JUnit classes: Suite RESULTS SKIPS CLASS...
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
        List<DiscoverySelector> selected = new ArrayList<>();
        for (int index = 2; index < arguments.length; index++) {
            selected.add(selectClass(arguments[index]));
        }
        try (PrintWriter results = new PrintWriter(Files.newBufferedWriter(Path.of(arguments[0])))) {
            new Suite(results).run(selected, skips);
        }
        System.exit(0); // Some tests leave threads behind.
    }

    private void run(List<DiscoverySelector> selected, Set<String> skips) throws IOException {
        PostDiscoveryFilter filter = test -> {
            String name = name(test.getSource());
            if (test.getSource().orElse(null) instanceof MethodSource) {
                say("known", name, "");
            }
            return FilterResult.includedIf(!skips.contains(name));
        };
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(selected)
                .filters(filter)
                .configurationParameter("junit.jupiter.execution.timeout.testable.method.default", "90 s")
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
