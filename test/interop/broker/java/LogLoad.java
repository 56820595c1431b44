import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The load of broker/programs/log_load.py by Apache's Java client: one producer and one member of the group.
 *
 * LogLoad BOOTSTRAP TOPIC PARTITIONS EVENTS RATE
 */
public final class LogLoad {
    private static final String PRODUCER = "java";
    private static final String MEMBER = "javamember";
    private static final long COMMIT_NS = 300_000_000L;
    private static final long TURN_MS = 20;
    private static final int SHOWN = 10;

    private static final AtomicLong ACKED = new AtomicLong();
    private static final AtomicLong READ = new AtomicLong();
    private static final AtomicLong WRONG = new AtomicLong();
    private static volatile boolean quiet;
    private static volatile boolean stopping;
    private static PrintWriter events;

    private static synchronized void write(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() == 0 ? "" : " ").append(word);
        }
        events.println(line);
    }

    /** At once: the load may hang, and nobody come to its end. */
    private static void bad(String text) {
        if (WRONG.incrementAndGet() <= SHOWN) {
            System.out.println("not ok " + text);
        }
    }

    private static Properties properties(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("request.timeout.ms", "10000");
        properties.put("reconnect.backoff.max.ms", "500");
        properties.put("metadata.max.age.ms", "5000");
        return properties;
    }

    private static void send(String bootstrap, String topic, int partitions, double rate) {
        Properties properties = properties(bootstrap);
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        properties.put("delivery.timeout.ms", "1000000");
        properties.put("max.block.ms", "300000");
        properties.put("linger.ms", "5");
        // With more, the producer goes on at the next leader while the last one stands still with a batch of before. The next leader has
        // that one, too; but when it is told so at last, it knows the numbers of the last five batches only, and calls it out of order:
        // so does Apache's, and this client then tries again for good.
        properties.put("max.in.flight.requests.per.connection", "1");
        long[] next = new long[partitions];
        long each = Math.max(1, Math.round(rate * TURN_MS / 1000));
        long turn = 0;
        try (KafkaProducer<String, String> producer =
                 new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            while (!quiet) {
                for (long i = 0; i < each; i++, turn++) {
                    int partition = (int) (turn % partitions);
                    long sequence = next[partition]++;
                    String value = PRODUCER + " " + sequence + " " + "x".repeat((int) (sequence % 97));
                    producer.send(new ProducerRecord<>(topic, partition, null, value), (where, error) -> {
                        if (error != null) {
                            bad(PRODUCER + ": " + sequence + " of partition " + partition + ": " + error);
                            return;
                        }
                        ACKED.incrementAndGet();
                        write("A", PRODUCER, partition, sequence, where.offset());
                    });
                }
                Thread.sleep(TURN_MS);
            }
            producer.flush();
        } catch (InterruptedException | KafkaException error) {
            bad(PRODUCER + ": " + error);
        }
    }

    private static void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> seen) {
        Map<TopicPartition, OffsetAndMetadata> tried = new HashMap<>(seen);
        tried.forEach((where, offset) -> write("T", MEMBER, where.partition(), offset.offset(), System.nanoTime()));
        try {
            consumer.commitSync(tried, Duration.ofSeconds(10));
        } catch (KafkaException error) {
            System.err.println(MEMBER + ": commit: " + error);
            return;
        }
        tried.forEach((where, offset) -> write("C", MEMBER, where.partition(), offset.offset(), System.nanoTime()));
        seen.clear();
    }

    private static void read(String bootstrap, String topic) {
        Properties properties = properties(bootstrap);
        properties.put("group.id", "readers");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("session.timeout.ms", "120000"); // As the other program.
        properties.put("heartbeat.interval.ms", "500");
        properties.put("fetch.max.wait.ms", "100");
        properties.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        Map<TopicPartition, OffsetAndMetadata> seen = new HashMap<>();
        try (KafkaConsumer<String, String> consumer =
                 new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(Collections.singleton(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    seen.keySet().removeAll(partitions);
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    partitions.forEach(where -> write("P", MEMBER, where.partition(), System.nanoTime()));
                }
            });
            long last = 0;
            while (!stopping) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                for (ConsumerRecord<String, String> record : records) {
                    String[] words = record.value().split(" ", 3);
                    write("R", MEMBER, record.partition(), record.offset(), words[0], words[1], System.nanoTime());
                    seen.put(new TopicPartition(topic, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                    READ.incrementAndGet();
                }
                if (!seen.isEmpty() && System.nanoTime() - last > COMMIT_NS) {
                    commit(consumer, seen);
                    last = System.nanoTime();
                }
            }
        } catch (KafkaException error) {
            bad(MEMBER + ": " + error);
        }
    }

    public static void main(String[] words) throws Exception {
        events = new PrintWriter(words[3], "UTF-8");
        Thread sender = new Thread(() -> send(words[0], words[1], Integer.parseInt(words[2]), Double.parseDouble(words[4])));
        Thread reader = new Thread(() -> read(words[0], words[1]));
        sender.setDaemon(true);
        reader.setDaemon(true);
        sender.start();
        reader.start();
        System.out.println("running");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null && !line.equals("stop"); line = input.readLine()) {
            if (line.equals("count")) {
                System.out.println("count " + ACKED.get());
            } else if (line.equals("quiet")) {
                quiet = true;
                sender.join(180_000);
                System.out.println("quiet");
            }
        }
        stopping = true;
        reader.join(60_000);
        if (sender.isAlive() || reader.isAlive()) {
            bad("does not end");
        }
        synchronized (LogLoad.class) {
            events.close();
        }
        if (WRONG.get() > SHOWN) {
            System.out.println("not ok " + (WRONG.get() - SHOWN) + " more");
        }
        System.out.println("figures " + ACKED.get() + " acknowledged, " + READ.get() + " read by the member");
    }
}
