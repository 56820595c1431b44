import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.StringJoiner;
import java.util.TreeSet;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Apache's Java client as harness/group.py wants it: create, produce, member. */
public final class Client {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private static Properties properties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("request.timeout.ms", "60000"); // Longer than a machine stands still.
        properties.put("default.api.timeout.ms", "180000");
        return properties;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void create(String bootstrap, String topic, int partitions) throws Exception {
        try (AdminClient admin = AdminClient.create(properties(bootstrap))) {
            admin.createTopics(Collections.singleton(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
    }

    private static void produce(String bootstrap, String topic, String[] codecs, int first, int count)
            throws Exception {
        int number = first;
        for (String codec : codecs) {
            Properties properties = properties(bootstrap);
            properties.put("acks", "all");
            properties.put("enable.idempotence", "true");
            properties.put("compression.type", codec);
            properties.put("linger.ms", "5");
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            try (KafkaProducer<byte[], byte[]> producer =
                     new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
                for (int i = 0; i < count; i++, number++) {
                    byte[] value = number % 1000 == 999 ? null
                        : bytes("value-" + number + "-" + "x".repeat(number % 97));
                    ProducerRecord<byte[], byte[]> record =
                        new ProducerRecord<>(topic, bytes("key-" + number), value);
                    record.headers().add("number", bytes("" + number)).add("codec", bytes(codec))
                        .add("bytes", new byte[] {0, (byte) 0xff});
                    sent.add(producer.send(record));
                }
                producer.flush();
            }
            for (Future<RecordMetadata> each : sent) {
                if (each.get().offset() < 0) {
                    throw new IllegalStateException("no offset");
                }
            }
        }
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02x", each));
        }
        return text.toString();
    }

    private static void print(ConsumerRecord<byte[], byte[]> record) {
        StringJoiner headers = new StringJoiner(";");
        for (Header header : record.headers()) {
            headers.add(header.key() + "=" + hex(header.value()));
        }
        OUT.println("rec\t" + record.partition() + "\t" + record.offset() + "\t"
            + new String(record.key(), StandardCharsets.UTF_8) + "\t"
            + (record.value() == null ? "\\N" : new String(record.value(), StandardCharsets.UTF_8)) + "\t" + headers);
    }

    private static volatile boolean stopping;

    private static void member(String bootstrap, String topic, String group) {
        Properties properties = properties(bootstrap);
        properties.put("group.id", group);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("heartbeat.interval.ms", "300");
        properties.put("session.timeout.ms", "120000");
        Thread watcher = new Thread(() -> {
            try {
                new BufferedReader(new InputStreamReader(System.in)).readLine();
            } catch (java.io.IOException ended) {
                System.err.println(ended);
            }
            stopping = true;
        });
        watcher.setDaemon(true);
        watcher.start();
        try (KafkaConsumer<byte[], byte[]> consumer =
                 new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(Collections.singleton(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    StringJoiner list = new StringJoiner(",");
                    TreeSet<Integer> all = new TreeSet<>();
                    consumer.assignment().forEach(partition -> all.add(partition.partition()));
                    all.forEach(partition -> list.add("" + partition));
                    OUT.println("assigned\t" + list);
                    OUT.flush();
                }
            });
            while (!stopping) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
                records.forEach(Client::print);
                OUT.flush();
                if (!records.isEmpty()) {
                    consumer.commitSync();
                }
            }
        }
        OUT.println("bye");
        OUT.flush();
    }

    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "create":
                create(words[1], words[2], Integer.parseInt(words[3]));
                break;
            case "produce":
                produce(words[1], words[2], words[3].split(","), Integer.parseInt(words[4]), Integer.parseInt(words[5]));
                break;
            case "member":
                member(words[1], words[2], words[3]);
                break;
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }
}
