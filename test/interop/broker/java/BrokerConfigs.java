import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Settings of brokers by the admin client: a line of input is a command, whose answer is a line of output.
 *
 *   set ENTITY KEY=VALUE [KEY=VALUE]..   append ENTITY KEY=VALUE   delete ENTITY KEY
 *   show ENTITY KEY..   (with source and synonyms)   topic NAME KEY..
 *   settle              waits until the broker has heard of everything: settings are told to it by the keeper, one after the other
 *
 * ENTITY is a broker's id, or - for the default of all.
 */
public class BrokerConfigs {
    static ConfigResource resource(String entity) {
        return new ConfigResource(ConfigResource.Type.BROKER, entity.equals("-") ? "" : entity);
    }

    static String alter(Admin admin, AlterConfigOp.OpType type, String[] words) throws InterruptedException {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (String word : Arrays.copyOfRange(words, 2, words.length)) {
            int at = word.indexOf('=');
            String key = at < 0 ? word : word.substring(0, at);
            ops.add(new AlterConfigOp(new ConfigEntry(key, at < 0 ? "" : word.substring(at + 1)), type));
        }
        try {
            admin.incrementalAlterConfigs(Map.of(resource(words[1]), ops)).all().get();
            return "ok";
        } catch (ExecutionException e) {
            return e.getCause().getClass().getSimpleName() + ": " + e.getCause().getMessage();
        }
    }

    static String show(Admin admin, ConfigResource what, String[] words) throws InterruptedException {
        try {
            Config config = admin.describeConfigs(List.of(what), new DescribeConfigsOptions().includeSynonyms(true)).all().get().get(what);
            List<String> wanted = Arrays.asList(words).subList(2, words.length);
            StringBuilder text = new StringBuilder();
            config.entries().stream().filter(each -> wanted.isEmpty() || wanted.contains(each.name()))
                .sorted(Comparator.comparing(ConfigEntry::name)).forEach(each -> {
                    text.append(each.name()).append('=').append(each.value()).append(' ').append(each.source()).append(' ').append(each.type())
                        .append(each.isReadOnly() ? " read-only" : "").append(each.isSensitive() ? " sensitive" : "").append(" [");
                    for (ConfigEntry.ConfigSynonym one : each.synonyms())
                        text.append(one.name()).append('=').append(one.value()).append(' ').append(one.source()).append("; ");
                    text.append("] ");
                });
            return text.toString();
        } catch (ExecutionException e) {
            return e.getCause().getClass().getSimpleName() + ": " + e.getCause().getMessage();
        }
    }

    /** A setting that nobody uses is set to another number each time, until it is shown. */
    static String settle(Admin admin) throws InterruptedException {
        String number = Integer.toString(++settled);
        String said = alter(admin, AlterConfigOp.OpType.SET, new String[] {"set", "0", "remote.fetch.max.wait.ms=" + number});
        while (!show(admin, resource("0"), new String[] {"show", "0", "remote.fetch.max.wait.ms"}).startsWith("remote.fetch.max.wait.ms=" + number + " "))
            Thread.sleep(10);
        return said;
    }

    static int settled = 1000;

    static String answer(Admin admin, String[] words) throws InterruptedException {
        switch (words[0]) {
            case "set": return alter(admin, AlterConfigOp.OpType.SET, words);
            case "append": return alter(admin, AlterConfigOp.OpType.APPEND, words);
            case "delete": return alter(admin, AlterConfigOp.OpType.DELETE, words);
            case "settle": return settle(admin);
            case "show": return show(admin, resource(words[1]), words);
            default: return show(admin, new ConfigResource(ConfigResource.Type.TOPIC, words[1]), words);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("request.timeout.ms", "60000"); // Longer than a machine stands still.
        properties.put("default.api.timeout.ms", "180000");
        try (Admin admin = Admin.create(properties); BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                System.out.println(answer(admin, line.split(" ")).replace('\n', ' '));
        }
    }
}
